// Prints mallinfo2's figures in one line and then what malloc_info writes, for malloc_info.py to
// compare.
#include "check.h"

int main(void) {
  static char buffer[MIB];  // stdio allocates none of its own, so that both see the same heap
  CHECK(setvbuf(stdout, buffer, _IOFBF, sizeof(buffer)) == 0);
  for (size_t i = 0; i < 20000; ++i) {
    void* block = malloc(100 + i % 3000);
    CHECK(block != NULL);
    if (i % 3 == 0) free(block);
  }
  for (size_t i = 0; i < 5; ++i) CHECK(malloc((i + 1) * MIB) != NULL);

  CHECK(malloc_info(1, stdout) == EINVAL);
  CHECK(malloc_info(-1, stdout) == EINVAL);
  const struct mallinfo2 info = mallinfo2();
  printf("%zu %zu %zu %zu\n", info.arena, info.fordblks, info.hblks, info.hblkhd);
  CHECK(malloc_info(0, stdout) == 0);
  const struct mallinfo2 again = mallinfo2();
  CHECK(memcmp(&info, &again, sizeof(info)) == 0);
  return 0;
}
