// A limit on address space is served to the end: at least 80 % of it in blocks of one size, then
// NULL and ENOMEM, and after free() the same again, also as one big block.
//
//   late SIZE   RLIMIT_AS of 256 MiB, set after the program has allocated a little.
//   start SIZE  300000 KiB (`ulimit -v 300000`), in force when the process starts.
//
// A broken allocator reserves more than the limit and does not start, asks for chunks that no
// longer fit and stops early, or does not get over its first failure.
#include <sys/resource.h>

#include "dropin.h"

enum { kLateLimit = 256 * kMiB, kStartLimit = 300000 * kKiB };

// A block starts with the address of the one allocated before it, so that counting costs no memory.
typedef struct Block {
  struct Block* previous;
} Block;

static void set_limit(rlim_t limit) {
  const struct rlimit both = {limit, limit};
  EXPECT(setrlimit(RLIMIT_AS, &both) == 0);
}

static char* last_byte(Block* block, size_t size) { return (char*)block + size - 1; }

static Block* allocate_all(size_t limit, size_t size, size_t* served) {
  Block* newest = NULL;
  for (*served = 0;; *served += size) {
    EXPECT(*served <= limit);  // or the limit is not a limit
    errno = 0;
    Block* block = opaque(malloc(size));
    if (block == NULL) break;
    *last_byte(block, size) = 'e';
    block->previous = newest;
    newest = block;
  }
  EXPECT(errno == ENOMEM);
  return newest;
}

static void free_all(Block* newest, size_t size) {
  while (newest != NULL) {
    Block* previous = newest->previous;
    EXPECT(*last_byte(newest, size) == 'e');
    free(newest);
    newest = previous;
  }
}

static void expect_served(size_t limit, size_t size) {
  for (int round = 1; round <= 2; ++round) {
    size_t served;
    Block* newest = allocate_all(limit, size, &served);
    const long kib = mapped_kib();
    free_all(newest, size);
    fprintf(stderr, "round %d: served %zu of %zu MiB in blocks of %zu\n", round, served / kMiB,
            limit / kMiB, size);
    EXPECT(served >= limit / 5 * 4);
    EXPECT(kib <= (long)(limit / kKiB));
  }
  check_and_free(filled(limit / 4, 1), limit / 4, 1);
  use_heap(1, 1000);
}

int main(int argc, char** argv) {
  EXPECT(argc == 3);
  const size_t size = strtoul(argv[2], NULL, 10);
  if (strcmp(argv[1], "late") == 0) {
    use_heap(2, 1000);
    set_limit(kLateLimit);
    expect_served(kLateLimit, size);
  } else if (strcmp(argv[1], "start") == 0) {
    set_limit(kStartLimit);
    exec_self((const char* const[]){"limited", argv[2], NULL});
  } else {
    expect_same_allocator();
    expect_served(kStartLimit, size);
  }
  return 0;
}
