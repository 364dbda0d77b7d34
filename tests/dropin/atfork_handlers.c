// pthread_atfork() handlers that allocate, in prepare, in the parent and in the child, registered
// before all constructors and in main, while another thread allocates; one of them takes a lock
// under which that thread allocates.
//
// Prepare handlers run in reverse order. A broken allocator holds its locks while a handler that
// was registered before its own still has to run: fork() never returns.
#include <stdatomic.h>

#include "dropin.h"

enum { kForks = 200 };

static atomic_bool done;
static int handlers_run;
static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;

static void* allocate_until_done(void* arg) {
  for (uint32_t seed = (uint32_t)(uintptr_t)arg; !atomic_load(&done); ++seed) {
    EXPECT(pthread_mutex_lock(&library_lock) == 0);
    use_heap(seed, 200);
    EXPECT(pthread_mutex_unlock(&library_lock) == 0);
    usleep(50);
  }
  return NULL;
}

static void handle(void) {
  use_heap((uint32_t)++handlers_run, 100);
  check_and_free(filled(3 * kMiB, 1), 3 * kMiB, 1);
}

static void lock_library(void) { EXPECT(pthread_mutex_lock(&library_lock) == 0); }
static void unlock_library(void) { EXPECT(pthread_mutex_unlock(&library_lock) == 0); }

// Before all constructors.
static void preinit(int argc, char** argv, char** env) {
  (void)argc, (void)argv, (void)env;
  EXPECT(pthread_atfork(lock_library, unlock_library, unlock_library) == 0);
  EXPECT(pthread_atfork(handle, handle, handle) == 0);
}
__attribute__((section(".preinit_array"),
               used)) static void (*const preinit_entry)(int, char**, char**) = preinit;

int main(void) {
  pthread_t thread;
  EXPECT(pthread_atfork(handle, handle, handle) == 0);
  EXPECT(pthread_create(&thread, NULL, allocate_until_done, (void*)1) == 0);
  for (int i = 0; i < kForks; ++i) {
    alarm(kHangSeconds);
    handlers_run = 0;
    const pid_t pid = fork();
    EXPECT(pid >= 0);
    EXPECT(handlers_run == 4);  // both prepare and two more, in the parent as in the child
    if (pid == 0) {
      alarm(kHangSeconds);
      use_heap(1, 100);
      _exit(0);
    }
    int status;
    EXPECT(waitpid(pid, &status, 0) == pid && exited_with(status, 0));
  }
  atomic_store(&done, true);
  EXPECT(pthread_join(thread, NULL) == 0);
  return 0;
}
