// A signal handler that forks in the middle of malloc, as crash reporters and shells do, in a
// process of one thread. It does not allocate; its child only exits.
//
// A broken allocator waits in its fork handler for a lock that the interrupted malloc holds.
#include <sys/time.h>

#include "dropin.h"

enum { kForks = 200 };

static volatile sig_atomic_t forks;

static void on_alarm(int number) {
  const int error = errno;
  (void)number;
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  int status;
  EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid && exited_with(status, 0));
  ++forks;
  errno = error;
}

int main(void) {
  const struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  EXPECT(sigaction(SIGVTALRM, &action, NULL) == 0);
  const struct itimerval often = {{0, 300}, {0, 300}};  // microseconds of our own time
  EXPECT(setitimer(ITIMER_VIRTUAL, &often, NULL) == 0);
  alarm(kHangSeconds);
  for (uint32_t seed = 1; forks < kForks; ++seed) {
    for (size_t size = 1500; size < 4 * kMiB; size *= 3) {  // where most of the time goes to locks
      void* blocks[40];
      for (int i = 0; i < 40; ++i) blocks[i] = opaque(malloc(size));
      for (int i = 0; i < 40; ++i) free(blocks[i]);
    }
    use_heap(seed, 50);
  }
  return 0;
}
