// MEMPOOL_HUGETLB on whatever host this is: with a pool, with an empty one, or without.
//
//   hugetlb 2M|1G   programs work, and the report says what they have
#include <malloc.h>

#include "stats_report.h"

// Above 512 MiB by as much as it takes to an address where a 1 GiB page may begin.
enum { kThreads = 4, kBlockBytes = 512 * kKiB, kBlocks = 1700 * 2, kTouchedEach = 64 };

static void* use(void* arg) {
  use_heap((uint32_t)(uintptr_t)arg + 1, 4000);
  return NULL;
}

// A large heap, of which little is touched: it is the address space that grows.
static void grow(void) {
  static void* blocks[kBlocks];
  for (unsigned i = 0; i < kBlocks; ++i) {
    blocks[i] = opaque(malloc(kBlockBytes));
    EXPECT(blocks[i] != NULL);
    if (i % kTouchedEach == 0) fill(blocks[i], kBlockBytes, i);
  }
  for (unsigned i = 0; i < kBlocks; ++i) {
    if (i % kTouchedEach == 0) EXPECT(holds(blocks[i], kBlockBytes, i));
    free(blocks[i]);
  }
}

int main(int argc, char** argv) {
  if (argc == 3) {
    expect_same_allocator();
    for (int round = 0; round < 2; ++round) {
      run_threads(kThreads, use);
      grow();
      malloc_trim(0);
    }
    return 0;
  }
  EXPECT(argc == 2 && setenv("MEMPOOL_HUGETLB", argv[1], 1) == 0);
  const char* report = report_of_self((const char* const[]){argv[1], "child", NULL});
  char option[32];
  snprintf(option, sizeof option, "\"HUGETLB\":\"%s\"", argv[1]);
  EXPECT(strstr(report, option) != NULL);
  EXPECT(number_in(report, "buddy", "hugetlb_frames") <= number_in(report, "buddy", "frames"));
  return 0;
}
