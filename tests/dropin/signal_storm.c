// Signals every fraction of a millisecond interrupt threads that allocate. The handler does not
// allocate, but it keeps errno, reads a block, and moves its thread to another CPU.
//
// A broken allocator lets go of a half-made change, takes a lock that the interrupted code holds,
// or goes on with the CPU number that it read before the signal.
#include <sched.h>
#include <stdatomic.h>
#include <sys/time.h>

#include "dropin.h"

enum { kThreads = 3, kSignals = 3000, kSharedSize = 500 };

static atomic_int signals;
static void* shared;
static cpu_set_t allowed;

static void on_signal(int number) {
  const int error = errno;
  const unsigned count = (unsigned)atomic_fetch_add(&signals, 1);
  EXPECT(holds(shared, kSharedSize, 9));
  cpu_set_t target;
  CPU_ZERO(&target);
  CPU_SET(count % (unsigned)CPU_COUNT(&allowed),
          &target);  // may name a CPU not ours: then nothing moves
  sched_setaffinity(0, sizeof target, number == SIGALRM ? &target : &allowed);
  errno = error;
}

static void* allocate(void* arg) {
  for (uint32_t seed = (uint32_t)(uintptr_t)arg; atomic_load(&signals) < kSignals; ++seed) {
    use_heap(seed, 500);
  }
  return NULL;
}

int main(void) {
  shared = filled(kSharedSize, 9);
  EXPECT(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  EXPECT(sigaction(SIGALRM, &action, NULL) == 0 && sigaction(SIGPROF, &action, NULL) == 0);
  const struct itimerval wall = {{0, 200}, {0, 200}};  // microseconds
  const struct itimerval busy = {{0, 300}, {0, 300}};
  EXPECT(setitimer(ITIMER_REAL, &wall, NULL) == 0 && setitimer(ITIMER_PROF, &busy, NULL) == 0);

  pthread_t threads[kThreads];
  for (intptr_t i = 0; i < kThreads; ++i) {
    EXPECT(pthread_create(&threads[i], NULL, allocate, (void*)(i * 100000 + 1)) == 0);
  }
  for (unsigned i = 0; atomic_load(&signals) < kSignals; ++i) {
    pthread_kill(threads[i % kThreads], i % 2 == 0 ? SIGALRM : SIGPROF);
    use_heap(i, 100);
  }
  const struct itimerval off = {{0, 0}, {0, 0}};
  EXPECT(setitimer(ITIMER_REAL, &off, NULL) == 0 && setitimer(ITIMER_PROF, &off, NULL) == 0);
  for (int i = 0; i < kThreads; ++i) EXPECT(pthread_join(threads[i], NULL) == 0);
  check_and_free(shared, kSharedSize, 9);
  return 0;
}
