// realloc() of a freed block, or of a pointer into a live one, is one line that names it, then
// SIGABRT, whether the block is to grow, to shrink or to keep its size. malloc_usable_size() of one
// (a new size of 0 here) says so under its own name.
//
// A broken allocator hands the same block out twice, or copies what is not there.
#include <malloc.h>

#include "dropin.h"

static const size_t sizes[] = {64, 4000, 30000, 700000, 5000000};

static _Noreturn void misuse(const char* how, size_t size, size_t new_size) {
  char* block = filled(size, 1);
  char* pointer = block;
  if (strcmp(how, "interior") == 0) {
    pointer = block + 16;
  } else {
    free(opaque(block));
  }
  if (new_size == 0) {
    expect_line("malloc_usable_size of a pointer that is not live ", pointer);
    _exit(malloc_usable_size(opaque(pointer)) == 0);
  }
  expect_line("realloc of a pointer that is not live ", pointer);
  _exit(opaque(realloc(opaque(pointer), new_size)) == NULL);
}

int main(int argc, char** argv) {
  if (argc == 4) misuse(argv[1], strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
    const size_t new_sizes[] = {sizes[i], sizes[i] / 4, sizes[i] * 4, 0};
    for (int j = 0; j < 8; ++j) {
      char size[32], new_size[32];
      snprintf(size, sizeof size, "%zu", sizes[i]);
      snprintf(new_size, sizeof new_size, "%zu", new_sizes[j / 2]);
      const char* how = j % 2 == 0 ? "freed" : "interior";
      const Child child = run_self((const char* const[]){how, size, new_size, NULL}, NULL);
      const bool good = aborted_with_expected_line(&child);
      if (!good) fprintf(stderr, "%s, from %s to %s\n", how, size, new_size);
      EXPECT(good);
    }
  }
  return 0;
}
