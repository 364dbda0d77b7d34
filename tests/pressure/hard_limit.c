// MEMPOOL_HARD_LIMIT is where large requests end, and where nothing else does.
//
//   hard_limit MIB loop       malloc(1M) until it fails: at MIB, to 2 %, with ENOMEM; then 4 KiB
//                             requests still succeed, and what is freed can be had again
//   hard_limit MIB threads    the same on four threads, together
//   hard_limit MIB large      blocks of 3 MiB, which are mapped
//   hard_limit MIB grow       realloc and calloc fail the same way, and leave what there was
//
// For MEMPOOL_HARD_LIMIT=MIB; 20 times each. Blocks are written in full, as they count.
#include <stdatomic.h>

#include "pressure_test.h"

enum { kRounds = 20, kThreads = 4, kPagesOfSmall = 256, kBlocksMax = 4096, kOffPercent = 2 };

static size_t g_limit;

static struct {
  void* data;
  size_t size;
} g_blocks[kBlocksMax];
static atomic_uint g_count;
static atomic_size_t g_bytes;

// Until no more is had.
static void take_all(size_t size) {
  for (;;) {
    errno = 0;
    void* block = opaque(malloc(size));
    if (block == NULL) {
      EXPECT(errno == ENOMEM);
      return;
    }
    const unsigned i = atomic_fetch_add(&g_count, 1);
    EXPECT(i < kBlocksMax);
    fill(block, size, i);
    g_blocks[i].data = block;
    g_blocks[i].size = size;
    EXPECT(atomic_fetch_add(&g_bytes, size) < 2 * g_limit);
  }
}

static void give_back(unsigned keep) {
  for (unsigned i = keep; i < atomic_load(&g_count); ++i) {
    check_and_free(g_blocks[i].data, g_blocks[i].size, i);
    atomic_fetch_sub(&g_bytes, g_blocks[i].size);
  }
  atomic_store(&g_count, keep);
}

static void expect_at_limit(size_t slack) {
  const size_t bytes = atomic_load(&g_bytes);
  const bool good = bytes + slack >= g_limit / 100 * (100 - kOffPercent) &&
                    bytes <= g_limit / 100 * (100 + kOffPercent);
  if (!good) fprintf(stderr, "the last request failed at %zu MiB\n", bytes / kMiB);
  EXPECT(good);
}

static void expect_small_requests_succeed(void) {
  void* small[kPagesOfSmall];
  for (unsigned i = 0; i < kPagesOfSmall; ++i) small[i] = filled(4 * kKiB, i);
  for (unsigned i = 0; i < kPagesOfSmall; ++i) check_and_free(small[i], 4 * kKiB, i);
}

static void loop(size_t size) {
  for (int round = 0; round < kRounds; ++round) {
    take_all(size);
    expect_at_limit(size);
    expect_small_requests_succeed();
    // A part first: there is room again for just that.
    const unsigned kept = atomic_load(&g_count) * 3 / 4;
    give_back(kept);
    take_all(size);
    expect_at_limit(size);
    give_back(0);
  }
}

static void* take_all_too(void* argument) {
  take_all(kMiB);
  return argument;
}

static void on_threads(void) {
  for (int round = 0; round < kRounds; ++round) {
    run_threads(kThreads, take_all_too);
    expect_at_limit(kThreads * kMiB);
    expect_small_requests_succeed();
    give_back(0);
  }
}

static void grow(void) {
  for (int round = 0; round < kRounds; ++round) {
    char* block = (char*)filled(kMiB, 1);
    size_t size = kMiB;
    for (;;) {
      errno = 0;
      char* larger = (char*)opaque(realloc(block, size + 5 * kMiB));
      if (larger == NULL) break;
      block = larger;
      size += 5 * kMiB;
      EXPECT(size <= 2 * g_limit);
      fill(block, size, 1);
    }
    EXPECT(errno == ENOMEM);
    // Where it cannot grow in place there are two for a moment.
    EXPECT(size >= g_limit / 3 && size <= g_limit / 100 * (100 + kOffPercent));
    EXPECT(holds(block, size, 1));
    errno = 0;
    EXPECT(opaque(calloc(1, g_limit)) == NULL && errno == ENOMEM);
    void* aligned = NULL;
    EXPECT(posix_memalign(&aligned, 64 * kKiB, g_limit) == ENOMEM);
    expect_small_requests_succeed();
    check_and_free(block, size, 1);
  }
}

int main(int argc, char** argv) {
  EXPECT(argc == 3);
  g_limit = (size_t)strtoul(argv[1], NULL, 10) * kMiB;
  EXPECT(g_limit > 16 * kMiB && g_limit < (size_t)2048 * kMiB);
  if (strcmp(argv[2], "loop") == 0) {
    loop(kMiB);
  } else if (strcmp(argv[2], "large") == 0) {
    loop(3 * kMiB);
  } else if (strcmp(argv[2], "threads") == 0) {
    on_threads();
  } else {
    EXPECT(strcmp(argv[2], "grow") == 0);
    grow();
  }
  return 0;
}
