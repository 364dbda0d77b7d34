// free() of a pointer into a live block, but not to its start, is one line that names it, then
// SIGABRT, for every size and offset. The block's neighbours are live, too.
//
// A broken allocator rounds the pointer, or frees a block that was never handed out.
#include "dropin.h"

static const size_t sizes[] = {16, 64, 1000, 4000, 30000, 100000, 700000, 5000000};
static const size_t offsets[] = {1, 8, 16, 64, 4096};

static _Noreturn void misuse(size_t size, size_t offset) {
  void* before = filled(size, 1);
  char* block = filled(size, 2);
  void* after = filled(size, 3);
  expect_line("free of interior pointer ", block + offset);
  free(opaque(block + offset));
  _exit(opaque(before) == opaque(after));
}

int main(int argc, char** argv) {
  if (argc == 3) misuse(strtoul(argv[1], NULL, 10), strtoul(argv[2], NULL, 10));
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
    for (size_t j = 0; j < sizeof offsets / sizeof offsets[0] && offsets[j] < sizes[i]; ++j) {
      char size[32], offset[32];
      snprintf(size, sizeof size, "%zu", sizes[i]);
      snprintf(offset, sizeof offset, "%zu", offsets[j]);
      const Child child = run_self((const char* const[]){size, offset, NULL}, NULL);
      const bool good = aborted_with_expected_line(&child);
      if (!good) fprintf(stderr, "size %s offset %s\n", size, offset);
      EXPECT(good);
    }
  }
  return 0;
}
