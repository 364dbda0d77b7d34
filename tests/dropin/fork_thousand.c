// 1000 forks while two threads allocate: every child finds the blocks of its parent whole, frees
// them, allocates, and now and then starts threads of its own.
//
// A broken allocator leaves a lock or a half-done list of a thread that does not exist in the
// child.
#include <stdatomic.h>

#include "dropin.h"

enum { kForks = 1000, kBlocks = 100 };

static atomic_bool done;

static void* allocate_until_done(void* arg) {
  for (uint32_t seed = (uint32_t)(uintptr_t)arg; !atomic_load(&done); ++seed) {
    use_heap(seed, 200);
    usleep(50);  // leaves the forks some of two CPUs
  }
  return NULL;
}

static void* allocate(void* arg) {
  use_heap((uint32_t)(uintptr_t)arg + 1, 1000);
  return NULL;
}

static size_t size_of(int i) { return (size_t)i * (size_t)i / 2 + 1; }

static _Noreturn void live_as_child(void** blocks, int number) {
  for (int i = 0; i < kBlocks; ++i) {
    blocks[i] = opaque(realloc(blocks[i], size_of(i) + 100));
    check_and_free(blocks[i], size_of(i), (unsigned)i);
  }
  use_heap((uint32_t)number, 100);
  if (number % 50 == 0) run_threads(3, allocate);
  _exit(0);
}

int main(void) {
  void* blocks[kBlocks];
  for (int i = 0; i < kBlocks; ++i) blocks[i] = filled(size_of(i), (unsigned)i);
  pthread_t threads[2];
  for (uintptr_t i = 0; i < 2; ++i) {
    EXPECT(pthread_create(&threads[i], NULL, allocate_until_done, (void*)(i * 1000 + 1)) == 0);
  }
  for (int number = 0; number < kForks; ++number) {
    const pid_t pid = fork();
    EXPECT(pid >= 0);
    if (pid == 0) {
      alarm(kHangSeconds);
      live_as_child(blocks, number);
    }
    int status;
    EXPECT(waitpid(pid, &status, 0) == pid);
    EXPECT(exited_with(status, 0));
  }
  atomic_store(&done, true);
  for (int i = 0; i < 2; ++i) EXPECT(pthread_join(threads[i], NULL) == 0);
  for (int i = 0; i < kBlocks; ++i) check_and_free(blocks[i], size_of(i), (unsigned)i);
  return 0;
}
