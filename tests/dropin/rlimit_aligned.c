// An alignment costs addresses, of which there is plenty, not address space: under RLIMIT_AS of
// 300000 KiB (`ulimit -v 300000`) small blocks at multiples of up to 4 GiB are served.
//
//   late   the limit is set after the program has allocated a little.
//   start  it is in force when the process starts.
//
// A broken allocator maps the block with its alignment added, or sees whether it could.
#include <sys/resource.h>

#include "dropin.h"

static const size_t kMostAlignment = (size_t)4 << 30;
static const size_t kLimit = (size_t)300000 * kKiB;

static void set_limit(void) {
  const struct rlimit both = {kLimit, kLimit};
  EXPECT(setrlimit(RLIMIT_AS, &both) == 0);
}

static void expect_served(size_t alignment, size_t size, unsigned tag) {
  void* block = NULL;
  const int error = posix_memalign(&block, alignment, size);
  fprintf(stderr, "%zu bytes at a multiple of %zu MiB: error %d\n", size, alignment / kMiB, error);
  EXPECT(error == 0);
  EXPECT((uintptr_t)opaque(block) % alignment == 0);
  fill(block, size, tag);
  check_and_free(block, size, tag);
}

static void expect_refused(size_t alignment) {
  void* block = NULL;
  EXPECT(posix_memalign(&block, alignment, 64) == ENOMEM);
}

// Each alignment also as the first of a process, which has no addresses of an earlier one to use.
static void check_alone(size_t alignment) {
  const pid_t child = fork();
  EXPECT(child >= 0);
  if (child == 0) {
    expect_served(alignment, 64, 7);
    _exit(0);
  }
  int status;
  EXPECT(waitpid(child, &status, 0) == child && exited_with(status, 0));
}

static void check_alignments(void) {
  static const size_t kSizes[] = {1, 64, 100000, 3 * kMiB};
  for (size_t alignment = 64 * kMiB; alignment <= kMostAlignment; alignment *= 2) {
    check_alone(alignment);
  }
  for (size_t alignment = 64 * kMiB; alignment <= kMostAlignment; alignment *= 2) {
    for (unsigned i = 0; i < 4; ++i) expect_served(alignment, kSizes[i], i + 1);
  }
  for (size_t alignment = (size_t)1 << 62; alignment >= (size_t)1 << 40; alignment /= 2) {
    expect_refused(alignment);
  }
  // What that has taken for good, for tables, leaves most of the limit.
  check_and_free(filled(kLimit / 3 * 2, 5), kLimit / 3 * 2, 5);
  use_heap(1, 1000);
}

int main(int argc, char** argv) {
  EXPECT(argc == 2);
  if (strcmp(argv[1], "late") == 0) {
    use_heap(2, 1000);
    set_limit();
    check_alignments();
  } else if (strcmp(argv[1], "start") == 0) {
    set_limit();
    exec_self((const char* const[]){"limited", NULL});
  } else {
    expect_same_allocator();
    check_alignments();
  }
  return 0;
}
