// Threads with the smallest stack that the system allows call every entry with every kind of size,
// the first time that the thread allocates at all included, and die.
//
// A broken allocator keeps a table on the stack, and meets the guard page: SIGSEGV.
#include <malloc.h>

#include "dropin.h"

static void* allocate(void* arg) {
  const size_t first = (size_t)(uintptr_t)arg;
  for (size_t size = first; size <= 8 * kMiB; size = size * 5 / 4 + 1) {
    char* block = filled(size, 1);
    block = opaque(realloc(block, size * 3 / 2));
    EXPECT(block != NULL && holds(block, size, 1));
    EXPECT(malloc_usable_size(block) >= size * 3 / 2);
    char* zeroed = opaque(calloc(size, 1));
    void* aligned = NULL;
    EXPECT(zeroed != NULL && holds(zeroed, size, 0));
    EXPECT(posix_memalign(&aligned, 4096, size) == 0);
    free(block);
    free(zeroed);
    free(aligned);
  }
  void* many[64];  // more than a magazine of large blocks, so that it is filled and emptied
  for (int i = 0; i < 64; ++i) many[i] = filled(20000, 1);
  for (int i = 0; i < 64; ++i) check_and_free(many[i], 20000, 1);
  use_heap((uint32_t)first, 300);
  malloc_trim(0);
  return NULL;
}

int main(void) {
  const size_t first_sizes[] = {1, 100, 5000, 40000, 300000, 2000000};
  pthread_attr_t attributes;
  EXPECT(pthread_attr_init(&attributes) == 0);
  EXPECT(pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN) == 0);
  for (size_t i = 0; i < sizeof first_sizes / sizeof first_sizes[0]; ++i) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, &attributes, allocate, (void*)first_sizes[i]) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
  }
  return 0;
}
