// malloc_stats writes lines of text to stderr, and they tell of the blocks that live now.
#include <sys/mman.h>

#include "check.h"

struct Text {
  char bytes[256 * 1024];
  size_t size;
};

static struct Text before, after;

static void capture_stats(struct Text* text) {
  const int file = memfd_create("stderr", MFD_CLOEXEC);
  const int real_stderr = dup(STDERR_FILENO);
  CHECK(file >= 0 && real_stderr >= 0 && dup2(file, STDERR_FILENO) >= 0);
  malloc_stats();
  fflush(stderr);
  CHECK(dup2(real_stderr, STDERR_FILENO) >= 0);
  const ssize_t size = pread(file, text->bytes, sizeof(text->bytes), 0);
  CHECK_WITH(size > 0, "malloc_stats wrote nothing to stderr");
  text->size = (size_t)size;
  CHECK(text->bytes[size - 1] == '\n');
  CHECK(strpbrk(text->bytes, "0123456789") != NULL);
  close(real_stderr);
  close(file);
}

int main(void) {
  capture_stats(&before);
  for (int i = 0; i < 50000; ++i) CHECK(malloc(1000) != NULL);
  capture_stats(&after);
  CHECK_WITH(before.size != after.size || memcmp(before.bytes, after.bytes, after.size) != 0,
             "50 MB more in use, and the same text");
  return 0;
}
