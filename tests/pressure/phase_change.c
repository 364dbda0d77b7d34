// 1.1 GiB of small blocks come, most of them go, and at once 1 GiB of large blocks is needed.
//
//   phase_change runs         95 % are freed, runs of 4000 blocks are kept: most pages are empty
//   phase_change all          all are freed
//   phase_change random-99    1 % is kept, at random: six pages of seven are empty
//   phase_change random-95    5 % are kept, at random: half of the pages hold something
//                             still, 590 MiB, so that without moving blocks nobody survives
//   phase_change MODE MIB     the largest block has so many MiB in place of 64: an allocator that
//                             keeps free pages can put small ones of these between what is kept
//
// No call, no option, no pause between the phases. In a group of 1.4 GiB an allocator survives
// that gives the pages of one tier back before another one grows. Sizes of 16 to 512 bytes, then of
// 1 to 64 MiB; every block is written in full, and what it holds is checked when it goes.
#include "pressure_test.h"

#define SMALL_BYTES ((size_t)11 * 1024 * kMiB / 10)
#define LARGE_BYTES ((size_t)1024 * kMiB)

enum { kSmallMin = 16, kSmallMax = 512, kRunBlocks = 4000, kRunsKeptOneIn = 20 };
enum { kLargeMin = kMiB, kLargeMaxMib = 64, kLargeCountMax = 1024 };
// The list has room for blocks that are all of the smallest size.
#define SMALL_COUNT_MAX (SMALL_BYTES / kSmallMin)

static void** g_small;
static size_t g_small_count;
static size_t g_kept_bytes;

// What block i is, without a record of it.
static uint32_t hash_of(size_t i) {
  uint32_t state = ((uint32_t)i + 1) * 2654435761u ^ seed_of_run();
  if (state == 0) state = 1;
  next_random(&state);
  return next_random(&state);
}

static size_t small_size(size_t i) {
  uint32_t state = hash_of(i) | 1;
  return between(&state, kSmallMin, kSmallMax);
}

static bool is_kept(const char* mode, size_t i) {
  if (strcmp(mode, "all") == 0) return false;
  if (strcmp(mode, "runs") == 0) return i / kRunBlocks % kRunsKeptOneIn == 0;
  return hash_of(i) / 7 % (strcmp(mode, "random-99") == 0 ? 100 : 20) == 0;
}

static void come(void) {
  for (size_t made = 0; made < SMALL_BYTES;) {
    const size_t i = g_small_count++;
    const size_t size = small_size(i);
    g_small[i] = filled(size, (unsigned)i);
    made += size;
  }
}

static void go(const char* mode) {
  for (size_t i = 0; i < g_small_count; ++i) {
    if (is_kept(mode, i)) {
      g_kept_bytes += small_size(i);
      continue;
    }
    check_and_free(g_small[i], small_size(i), (unsigned)i);
    g_small[i] = NULL;
  }
}

static void need_large_blocks(size_t largest) {
  static void* blocks[kLargeCountMax];
  static size_t sizes[kLargeCountMax];
  uint32_t state = hash_of(0) | 1;
  unsigned count = 0;
  for (size_t made = 0; made < LARGE_BYTES; made += sizes[count++]) {
    const size_t size = between(&state, kLargeMin, largest);
    sizes[count] = size < LARGE_BYTES - made ? size : LARGE_BYTES - made;
    blocks[count] = filled(sizes[count], count);
  }
  for (unsigned i = 0; i < count; ++i) check_and_free(blocks[i], sizes[i], i);
}

int main(int argc, char** argv) {
  const char* mode = argc >= 2 ? argv[1] : "";
  const long largest_mib = argc >= 3 ? strtol(argv[2], NULL, 10) : kLargeMaxMib;
  EXPECT(largest_mib >= 1 && largest_mib <= kLargeMaxMib);
  EXPECT(strcmp(mode, "runs") == 0 || strcmp(mode, "all") == 0 || strcmp(mode, "random-99") == 0 ||
         strcmp(mode, "random-95") == 0);
  g_small = (void**)own_memory(SMALL_COUNT_MAX * sizeof *g_small);
  const uint64_t start_ns = now_ns();
  come();
  const uint64_t full_ns = now_ns();
  go(mode);
  const uint64_t freed_ns = now_ns();
  need_large_blocks((size_t)largest_mib * kMiB);
  const uint64_t end_ns = now_ns();
  for (size_t i = 0; i < g_small_count; ++i) {
    if (g_small[i] != NULL) check_and_free(g_small[i], small_size(i), (unsigned)i);
  }
  printf("blocks=%zu kept_mib=%zu come_ms=%llu go_ms=%llu large_ms=%llu\n", g_small_count,
         g_kept_bytes / kMiB, (unsigned long long)(full_ns - start_ns) / 1000000,
         (unsigned long long)(freed_ns - full_ns) / 1000000,
         (unsigned long long)(end_ns - freed_ns) / 1000000);
  return 0;
}
