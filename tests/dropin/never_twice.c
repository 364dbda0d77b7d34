// Whatever a program frees twice, the same block is never handed out twice, not even where the
// abort does not end it: a SIGABRT handler jumps out of free(), and the program allocates on.
//
// A broken allocator gives two owners one block, or still holds the lock that it aborted under.
#include <setjmp.h>

#include "dropin.h"

enum { kBlocksMax = 2000, kBytesMax = 64 * kMiB };

static const size_t sizes[] = {16, 64, 1000, 4000, 30000, 100000, 700000, 5000000};
static sigjmp_buf out_of_abort;

static void jump_out(int number) { siglongjmp(out_of_abort, number); }

static void free_twice(void* block) {
  free(opaque(block));
  if (sigsetjmp(out_of_abort, 1) == 0) free(opaque(block));
}

static int by_address(const void* a, const void* b) {
  const uintptr_t x = *(const uintptr_t*)a;
  const uintptr_t y = *(const uintptr_t*)b;
  return x < y ? -1 : x > y;
}

static void expect_distinct(size_t size) {
  static uintptr_t blocks[kBlocksMax];
  const size_t fit = kBytesMax / size;
  const size_t count = fit < kBlocksMax ? fit : kBlocksMax;
  for (size_t i = 0; i < count; ++i) blocks[i] = (uintptr_t)filled(size, 1);
  qsort(blocks, count, sizeof blocks[0], by_address);
  for (size_t i = 1; i < count; ++i) EXPECT(blocks[i - 1] + size <= blocks[i]);
}

int main(int argc, char** argv) {
  if (argc > 1) {
    const size_t size = strtoul(argv[1], NULL, 10);
    EXPECT(signal(SIGABRT, jump_out) != SIG_ERR);
    free_twice(filled(size, 1));
    expect_distinct(size);
    return 0;
  }
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
    char size[32];
    snprintf(size, sizeof size, "%zu", sizes[i]);
    const Child child = run_self((const char* const[]){size, NULL}, NULL);
    if (!exited_with(child.status, 0)) {
      fprintf(stderr, "size %s: status 0x%x\n%s", size, (unsigned)child.status, child.err);
    }
    EXPECT(exited_with(child.status, 0));
  }
  return 0;
}
