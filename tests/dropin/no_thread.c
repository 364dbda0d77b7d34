// A process without threads of its own gets none from the allocator: a second one would break
// unshare(), sandboxes and fork(). A process that makes threads may have a helper, which is gone
// when the program has joined the last of them.
#include <malloc.h>

#include "dropin.h"

static void* allocate(void* arg) {
  use_heap((uint32_t)(uintptr_t)arg, 5000);
  return NULL;
}

int main(void) {
  EXPECT(count_threads() == 1);
  use_heap(1, 30000);
  for (unsigned i = 0; i < 50; ++i) {
    const size_t size = (size_t)(i + 1) * kMiB;
    check_and_free(filled(size, i), size, i);
  }
  malloc_trim(0);
  EXPECT(count_threads() == 1);
  const pid_t child = fork();
  if (child == 0) {
    use_heap(3, 5000);
    _exit(count_threads() == 1 ? 0 : 1);
  }
  expect_success(child);
  EXPECT(count_threads() == 1);
  for (int i = 0; i < 20; ++i) {
    run_threads(8, allocate);
    EXPECT(count_threads() == 1);
  }
  use_heap(2, 10000);
  EXPECT(count_threads() == 1);
  // Where nobody joins, it leaves by itself; the suite's time limit is the bound.
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, allocate, NULL) == 0);
  EXPECT(pthread_detach(thread) == 0);
  while (count_threads() != 1) usleep(10000);
  return 0;
}
