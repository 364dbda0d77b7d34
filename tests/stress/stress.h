// What the stress programs share: a seeded generator, blocks that know their contents, a clock.
//
// A failed check writes one line and ends the process without a FILE and without malloc, since the
// allocator is what may be broken. Status 3, so that a parent tells it from a crash.
#pragma once

#include <malloc.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace stress {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;

[[noreturn]] inline void fail(const char* what, const void* block, size_t bytes, size_t offset) {
  char line[256];
  const int length = snprintf(line, sizeof line, "FAILED: %s: block %p, %zu bytes, at %zu\n", what,
                              block, bytes, offset);
  if (write(STDERR_FILENO, line, static_cast<size_t>(length)) < 0) _exit(4);
  // A core of the failing thread, where somebody looks for one.
  if (getenv("EP_STRESS_ABORT") != nullptr) abort();
  _exit(3);
}

#define STRESS_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::stress::fail(#condition, nullptr, 0, __LINE__))

constexpr uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(mix(seed)) {}
  uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15); }
  size_t below(size_t bound) { return static_cast<size_t>(next() % bound); }
  bool one_in(size_t count) { return below(count) == 0; }

 private:
  uint64_t state_;
};

// Every tier, small ones far more often; sizes are even over each doubling.
inline size_t random_bytes(Random& random) {
  static constexpr unsigned kRare[] = {12, 13, 14, 15, 15, 16, 17, 18, 20, 21, 22};
  const unsigned bits = random.one_in(16) ? kRare[random.below(sizeof kRare / sizeof *kRare)]
                                          : static_cast<unsigned>(4 + random.below(8));
  const size_t top = size_t{1} << bits;
  return top - random.below(top / 2 + 1);
}

// A live block. Its contents follow from its id: whole where it is short, else at both ends and at
// words in between, so that an overlap, a lost page or a wrong copy shows.
struct Block {
  unsigned char* data = nullptr;
  size_t bytes = 0;
  uint64_t id = 0;

  void fill() const {
    visit([this](size_t at, size_t count) {
      const uint64_t value = word(at);
      memcpy(data + at, &value, count);
    });
  }
  // The first `kept` of the bytes.
  void check(size_t kept, const char* when) const {
    visit([&](size_t at, size_t count) {
      if (at + count > kept) return;
      const uint64_t value = word(at);
      if (memcmp(data + at, &value, count) != 0) fail(when, data, bytes, at);
    });
  }
  void check(const char* when) const { check(bytes, when); }

 private:
  static constexpr size_t kWhole = 256;
  static constexpr size_t kSamples = 24;

  uint64_t word(size_t at) const { return mix(id ^ at * 0x9e3779b97f4a7c15); }

  template <typename Visit>
  void visit(Visit visit_word) const {
    if (bytes <= kWhole) {
      for (size_t at = 0; at < bytes; at += 8) visit_word(at, bytes - at < 8 ? bytes - at : 8);
      return;
    }
    const size_t step = (bytes / kSamples) & ~size_t{7};
    for (size_t at = 0; at + 16 <= bytes; at += step) visit_word(at, 8);
    visit_word(bytes - 8, 8);
  }
};

inline void* hide(void* p) {
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}

inline void check_zero(const unsigned char* data, size_t bytes) {
  const size_t step = bytes <= 4 * kKiB ? 1 : 61;
  for (size_t at = 0; at < bytes; at += step) {
    if (data[at] != 0) fail("calloc is not zero", data, bytes, at);
  }
  if (data[bytes - 1] != 0) fail("calloc is not zero", data, bytes, bytes - 1);
}

// A new block by one of the ways to get one; data is nullptr where memory is refused.
inline Block allocate(Random& random, uint64_t id) {
  Block block{nullptr, random_bytes(random), id};
  size_t align = 16;
  void* data = nullptr;
  switch (random.below(8)) {
    case 0:
      data = calloc(1, block.bytes);
      if (data != nullptr) check_zero(static_cast<unsigned char*>(data), block.bytes);
      break;
    case 1:
      align = size_t{16} << random.below(random.one_in(64) ? 17 : 10);
      if (posix_memalign(&data, align, block.bytes) != 0) data = nullptr;
      break;
    default:
      data = malloc(block.bytes);
  }
  block.data = static_cast<unsigned char*>(hide(data));
  if (data == nullptr) return block;
  if (reinterpret_cast<uintptr_t>(data) % align != 0) fail("alignment", data, block.bytes, align);
  if (malloc_usable_size(data) < block.bytes) fail("usable size", data, block.bytes, 0);
  block.fill();
  return block;
}

// False where memory is refused: the block is as it was.
inline bool reallocate(Random& random, Block& block, uint64_t id) {
  block.check("before realloc");
  size_t bytes = random.one_in(2) ? random_bytes(random) : block.bytes + block.bytes / 4 + 1;
  if (bytes > 8 * kMiB) bytes = 8 * kMiB;
  void* data = realloc(block.data, bytes);
  if (data == nullptr) {
    block.check("after a realloc that was refused");
    return false;
  }
  block.data = static_cast<unsigned char*>(hide(data));
  block.check(bytes < block.bytes ? bytes : block.bytes, "after realloc");
  block.bytes = bytes;
  block.id = id;
  if (malloc_usable_size(data) < bytes) fail("usable size after realloc", data, bytes, 0);
  block.fill();
  return true;
}

inline void release(Block& block, const char* when = "before free") {
  if (block.data == nullptr) return;
  block.check(when);
  free(block.data);
  block = {};
}

inline double now_seconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// --seconds S (or EP_STRESS_SECONDS, which wins), --seed N, --threads N.
struct Settings {
  double seconds = 10;
  uint64_t seed = 0;
  size_t threads = 4;

  Settings(int argc, char** argv) {
    seed = static_cast<uint64_t>(time(nullptr)) ^ static_cast<uint64_t>(getpid()) << 32;
    for (int i = 1; i + 1 < argc; i += 2) {
      if (strcmp(argv[i], "--seconds") == 0) seconds = atof(argv[i + 1]);
      if (strcmp(argv[i], "--seed") == 0) seed = strtoull(argv[i + 1], nullptr, 0);
      if (strcmp(argv[i], "--threads") == 0) threads = strtoull(argv[i + 1], nullptr, 0);
    }
    if (const char* soak = getenv("EP_STRESS_SECONDS")) seconds = atof(soak);
    char line[128];
    const int length = snprintf(line, sizeof line, "seed %llu, %zu threads, %g s\n",
                                static_cast<unsigned long long>(seed), threads, seconds);
    STRESS_CHECK(write(STDOUT_FILENO, line, static_cast<size_t>(length)) == length);
  }
};

}  // namespace stress
