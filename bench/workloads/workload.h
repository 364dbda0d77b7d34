// What every workload shares: options, a seeded generator, stamped blocks, threads, the last line.
//
// A workload is one program. Its work follows from its seed alone; it writes to what it allocates,
// verifies the contents before it frees, and prints one line of key=value words that bench/compare
// reads. The checksum must not depend on the allocator: no address goes into it.
#pragma once

#include <unistd.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace bench {

[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "workload: %s\n", what);
  std::exit(1);
}

// What each of `parts` does of a fixed total; nobody does nothing.
inline uint64_t part(uint64_t total, unsigned parts) { return total > parts ? total / parts : 1; }

// --threads=N --scale=PERCENT --seed=N [MODE]
struct Options {
  unsigned threads = 1;
  uint64_t scale_percent = 100;
  uint64_t seed = 42;
  const char* mode = "";

  static Options parse(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
      unsigned long long value = 0;
      if (std::sscanf(argv[i], "--threads=%llu", &value) == 1 && value >= 1 && value <= 64) {
        options.threads = static_cast<unsigned>(value);
      } else if (std::sscanf(argv[i], "--scale=%llu", &value) == 1 && value <= 100'000) {
        options.scale_percent = value;
      } else if (std::sscanf(argv[i], "--seed=%llu", &value) == 1) {
        options.seed = value;
      } else if (argv[i][0] != '-') {
        options.mode = argv[i];
      } else {
        fail("usage: [--threads=1..64] [--scale=PERCENT] [--seed=N] [MODE]");
      }
    }
    return options;
  }

  uint64_t scaled(uint64_t count) const {
    const uint64_t result = count * scale_percent / 100;
    return result > 0 ? result : 1;
  }

  // Of one thread, where the threads share the work.
  uint64_t share(uint64_t count) const { return part(scaled(count), threads); }
};

// A 64-bit counter through a mixing function: small, fast, equal on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}

  uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ (z >> 32)) * 0xd6e8feb86659fd93u;
    z = (z ^ (z >> 32)) * 0xd6e8feb86659fd93u;
    return z ^ (z >> 32);
  }
  uint64_t below(uint64_t bound) { return (next() >> 32) * bound >> 32; }
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }

 private:
  uint64_t state_;
};

// Most requests of real programs are small; a few are not. 16 B to 64 KiB, 0.7 KiB on average.
inline size_t mixed_size(Random& random) {
  const uint64_t percentile = random.below(1000);
  if (percentile < 750) return random.between(16, 256);
  if (percentile < 970) return random.between(257, 2048);
  if (percentile < 998) return random.between(2049, 16 << 10);
  return random.between((16 << 10) + 1, 64 << 10);
}

// A block that knows its contents. The stamp stands at the start of every `stride` bytes and at the
// end of the block; size is at least 16.
struct Block {
  char* data = nullptr;
  size_t size = 0;
  uint64_t stamp = 0;
};

constexpr size_t kLineBytes = 64;
constexpr size_t kPageBytes = 4096;
constexpr size_t kEndsOnly = size_t{1} << 40;

inline void put_stamp(char* at, uint64_t stamp) { std::memcpy(at, &stamp, sizeof stamp); }

inline void fill(const Block& block, size_t stride) {
  for (size_t at = 0; at + sizeof block.stamp <= block.size; at += stride) {
    put_stamp(block.data + at, block.stamp);
  }
  put_stamp(block.data + block.size - sizeof block.stamp, block.stamp);
}

inline Block allocate(size_t size, uint64_t stamp, size_t stride = kLineBytes) {
  const Block block{static_cast<char*>(std::malloc(size)), size, stamp};
  if (block.data == nullptr) fail("out of memory");
  fill(block, stride);
  return block;
}

inline void verify(const Block& block) {
  const char* last = block.data + block.size - sizeof block.stamp;
  if (std::memcmp(block.data, &block.stamp, sizeof block.stamp) != 0 ||
      std::memcmp(last, &block.stamp, sizeof block.stamp) != 0) {
    fail("contents of a block were changed");
  }
}

// Verifies, frees, and leaves an empty block; the sum of what it returns is the checksum.
inline uint64_t release(Block& block) {
  if (block.data == nullptr) return 0;
  verify(block);
  std::free(block.data);
  const uint64_t share = block.stamp ^ block.size;
  block = Block{};
  return share;
}

inline uint64_t release_all(std::vector<Block>& blocks) {
  uint64_t checksum = 0;
  for (Block& block : blocks) checksum += release(block);
  return checksum;
}

// Runs work(0) .. work(count - 1), each on a thread of its own if there are several; sums up.
template <typename Work>
uint64_t sum_over_threads(unsigned count, Work work) {
  if (count == 1) return work(0u);
  std::vector<uint64_t> sums(count);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < count; ++i) threads.emplace_back([&, i] { sums[i] = work(i); });
  uint64_t total = 0;
  for (unsigned i = 0; i < count; ++i) {
    threads[i].join();
    total += sums[i];
  }
  return total;
}

// Memory of this process that is in use now.
inline size_t resident_kib() {
  size_t total = 0, resident = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%zu %zu", &total, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * (static_cast<size_t>(sysconf(_SC_PAGESIZE)) / 1024);
}

// Ends the line that the caller may have begun with words of its own.
inline int report(uint64_t checksum, uint64_t operations) {
  std::printf("checksum=%016" PRIx64 " operations=%" PRIu64 "\n", checksum, operations);
  return 0;
}

}  // namespace bench
