// 2000 threads alive at once, each with blocks of its own; then each checks and frees its
// neighbour's.
//
// A broken allocator has a table of threads that ends, or hands one block to two of them.
#include "dropin.h"

enum { kThreads = 2000, kBlocks = 16, kStackBytes = 256 * kKiB };

static void* blocks[kThreads][kBlocks];
static pthread_barrier_t all_here;

static size_t size_of(unsigned i) { return i * i * 9 + 1; }

static void* allocate_and_wait(void* arg) {
  const unsigned self = (unsigned)(uintptr_t)arg;
  for (unsigned i = 0; i < kBlocks; ++i) blocks[self][i] = filled(size_of(i), self + i);
  pthread_barrier_wait(&all_here);
  const unsigned other = (self + 1) % kThreads;
  for (unsigned i = 0; i < kBlocks; ++i) check_and_free(blocks[other][i], size_of(i), other + i);
  use_heap(self, 20);
  return NULL;
}

int main(void) {
  static pthread_t threads[kThreads];
  pthread_attr_t attributes;
  EXPECT(pthread_barrier_init(&all_here, NULL, kThreads) == 0);
  EXPECT(pthread_attr_init(&attributes) == 0);
  EXPECT(pthread_attr_setstacksize(&attributes, kStackBytes) == 0);
  for (uintptr_t i = 0; i < kThreads; ++i) {
    const int error = pthread_create(&threads[i], &attributes, allocate_and_wait, (void*)i);
    if (error == EAGAIN) SKIP("this system does not give us 2000 threads");
    EXPECT(error == 0);
  }
  for (int i = 0; i < kThreads; ++i) EXPECT(pthread_join(threads[i], NULL) == 0);
  return 0;
}
