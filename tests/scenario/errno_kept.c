// A call that succeeds leaves errno alone: free() always, the others when they return a block.
#include <pthread.h>

#include "check.h"

#define KEEPS_ERRNO(statement)                                                          \
  do {                                                                                  \
    errno = ERRNO_MARK;                                                                 \
    statement;                                                                          \
    CHECK_WITH(errno == ERRNO_MARK, "size %zu: " #statement ": errno %d", size, errno); \
  } while (0)

static void one_block(size_t size) {
  void *plain, *zeroed, *aligned, *page;
  KEEPS_ERRNO(plain = malloc(size));
  KEEPS_ERRNO(zeroed = calloc(1, size));
  KEEPS_ERRNO(aligned = memalign(256, size));
  KEEPS_ERRNO(CHECK(posix_memalign(&page, 4096, size) == 0));
  CHECK(plain && zeroed && aligned && page);
  KEEPS_ERRNO(plain = realloc(plain, 2 * size));
  KEEPS_ERRNO(plain = realloc(plain, size));
  KEEPS_ERRNO((void)malloc_usable_size(plain));
  KEEPS_ERRNO(free(plain));
  KEEPS_ERRNO(free(zeroed));
  KEEPS_ERRNO(free(aligned));
  KEEPS_ERRNO(free(page));
}

// Enough blocks at once that every cache is filled and emptied, and memory is fetched and given
// back.
static void many_blocks(size_t size) {
  static void* blocks[20000];
  const size_t count = size * COUNT_OF(blocks) < 128 * MIB ? COUNT_OF(blocks) : 128 * MIB / size;
  for (size_t i = 0; i < count; ++i) KEEPS_ERRNO(blocks[i] = malloc(size));
  for (size_t i = 0; i < count; ++i) memset(blocks[i], 1, size < 64 ? size : 64);
  for (size_t i = 0; i < count; ++i) KEEPS_ERRNO(free(blocks[i]));
}

// The first call of a thread sets the thread up.
static void* first_call(void* argument) {
  size_t size = *(const size_t*)argument;
  void* block;
  KEEPS_ERRNO(block = malloc(size));
  KEEPS_ERRNO(free(block));
  return NULL;
}

static void* first_call_is_free(void* block) {
  size_t size = 0;
  KEEPS_ERRNO(free(block));
  return NULL;
}

static void in_thread(void* (*body)(void*), void* argument) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, body, argument) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
}

int main(void) {
  size_t size = 0;
  KEEPS_ERRNO(free(NULL));
  for (size_t i = 0; i < kTierSizeCount; ++i) {
    size = kTierSizes[i];
    one_block(size);
    many_blocks(size);
    in_thread(first_call, &size);
    in_thread(first_call_is_free, malloc(size));
  }
  return 0;
}
