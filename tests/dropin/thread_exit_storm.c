// 100 000 threads come, allocate, free, and go, each leaving one block for the main thread to free:
// memory does not grow with their number.
//
// A broken allocator leaks a dead thread's cache or its blocks.
#include "dropin.h"

enum { kBatch = 10, kBlocks = 12 };

static void* left[kBatch];

static void* live_and_die(void* arg) {
  const intptr_t index = (intptr_t)arg;
  void* blocks[kBlocks];
  for (unsigned i = 0; i < kBlocks; ++i) blocks[i] = filled(16u << i, i);  // 16 bytes to 32 KiB
  for (unsigned i = 0; i < kBlocks; ++i) check_and_free(blocks[i], 16u << i, i);
  left[index] = filled(64u << index, (unsigned)index);
  return NULL;
}

int main(void) {
  long before_kib = 0;
  for (int threads = kBatch; threads <= 100000; threads += kBatch) {
    run_threads(kBatch, live_and_die);
    for (unsigned i = 0; i < kBatch; ++i) check_and_free(left[i], 64u << i, i);
    if (threads == 10000) before_kib = resident_kib();
    if (threads % 10000 == 0) {
      const long kib = resident_kib();
      fprintf(stderr, "resident: %ld KiB after %d threads\n", kib, threads);
      EXPECT(kib < before_kib * 3 / 2 + 4 * kKiB);  // 100 leaked bytes a thread would be 8.8 MiB
    }
  }
  return 0;
}
