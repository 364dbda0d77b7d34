// vfork() among allocating threads: the child lives in its parent's memory, on its parent's stack,
// under another thread id; it allocates, as careless programs do, and executes a program.
//
// A broken allocator trusts what it has cached of the thread (its id, its rseq area, which the
// kernel does not maintain for such a child) or runs fork handlers' other half alone.
#include <stdatomic.h>

#include "dropin.h"

enum { kRounds = 150, kLeafStatus = 7 };

static atomic_bool done;

static void* allocate_until_done(void* arg) {
  for (uint32_t seed = (uint32_t)(uintptr_t)arg; !atomic_load(&done); ++seed) use_heap(seed, 500);
  return NULL;
}

// A function of its own, so that the child changes no variable of the frame that vfork() returns
// to.
static __attribute__((noinline, noreturn)) void live_as_child(char* const* argv) {
  use_heap(5, 200);
  execv(argv[0], argv);
  _exit(1);
}

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "leaf") == 0) {
    expect_same_allocator();
    use_heap(1, 100);
    return kLeafStatus;
  }
  setenv("DROPIN_ALLOCATOR", allocator_path(), 1);
  static char leaf[] = "leaf";
  char* const leaf_argv[] = {(char*)(uintptr_t)self_path(), leaf, NULL};
  void* block = filled(1000, 1);
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, allocate_until_done, (void*)1) == 0);
  for (int i = 0; i < kRounds; ++i) {
    const pid_t pid = vfork();
    if (pid == 0) live_as_child(leaf_argv);
    EXPECT(pid > 0);
    use_heap((uint32_t)i, 200);
    int status;
    EXPECT(waitpid(pid, &status, 0) == pid && exited_with(status, kLeafStatus));
    EXPECT(holds(block, 1000, 1));
  }
  atomic_store(&done, true);
  EXPECT(pthread_join(thread, NULL) == 0);
  free(block);
  return 0;
}
