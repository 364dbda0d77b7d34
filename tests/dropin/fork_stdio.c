// fork() in a process whose other threads allocate and use stdio: fflush(NULL) takes the list lock
// and then a FILE's, getline() and open_memstream() hold a FILE's and allocate. 10 runs of a
// second.
//
// glibc runs atfork handlers before it takes the list lock, so an allocator that takes its own
// locks there closes the circle and the parent hangs; one that has no handler at all hangs the
// child.
#include <stdatomic.h>
#include <time.h>

#include "dropin.h"

enum { kRuns = 10, kForking = 0, kWaiting = 1 };

typedef struct {  // shared with the watching process
  atomic_long forks;
  atomic_int step;
} Progress;

static Progress* progress;

static double seconds_now(void) {
  struct timespec now;
  EXPECT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// Pauses, since libc's locks are not fair: without them fork() waits its turn for seconds.
static void* flush(void* arg) {
  for (;;) {
    fflush(NULL);
    usleep(20);
  }
  return arg;
}

static void* read_lines(void* arg) {
  FILE* file = tmpfile();
  EXPECT(file != NULL);
  for (int length = 1; length < 20000; length += length / 8 + 1) {
    fprintf(file, "%0*d\n", length, 0);
  }
  for (;;) {
    char* line = NULL;  // so that every pass grows a block from nothing
    size_t capacity = 0;
    rewind(file);
    while (getline(&line, &capacity, file) > 0) continue;
    free(line);
  }
  return arg;
}

static void write_stream(void) {
  char* text = NULL;
  size_t length = 0;
  FILE* stream = open_memstream(&text, &length);
  EXPECT(stream != NULL);
  for (int i = 0; i < 200; ++i) fprintf(stream, "%064d", i);
  EXPECT(fclose(stream) == 0 && length == 200 * 64 && strlen(text) == length);
  free(text);
}

static void* write_streams(void* arg) {
  for (;;) write_stream();
  return arg;
}

static void* allocate(void* arg) {
  for (uint32_t seed = 1;; ++seed) use_heap(seed, 1000);
  return arg;
}

static _Noreturn void fork_for_a_second(void) {
  void* (*const bodies[])(void*) = {flush, read_lines, write_streams, allocate, flush, allocate};
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; ++i) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, bodies[i], NULL) == 0);
  }
  const double end = seconds_now() + 1;
  while (seconds_now() < end) {
    atomic_store(&progress->step, kForking);
    const pid_t pid = fork();
    EXPECT(pid >= 0);
    if (pid == 0) {
      use_heap(7, 100);
      write_stream();
      _exit(0);
    }
    atomic_store(&progress->step, kWaiting);
    int status;
    EXPECT(waitpid(pid, &status, 0) == pid && exited_with(status, 0));
    atomic_fetch_add(&progress->forks, 1);
  }
  _exit(0);
}

// Ends the run when no fork was completed for a long while, and says who stood still.
static void watch(pid_t runner, int run) {
  long forks = -1;
  double changed = seconds_now();
  int status;
  while (waitpid(runner, &status, WNOHANG) == 0) {
    const long now = atomic_load(&progress->forks);
    if (now != forks) changed = seconds_now();
    forks = now;
    if (seconds_now() - changed > kHangSeconds) {
      const bool parent = atomic_load(&progress->step) == kForking;
      fprintf(stderr, "run %d: the %s hung after %ld forks\n", run, parent ? "parent" : "child",
              forks);
      kill(-runner, SIGKILL);
      _exit(1);
    }
    usleep(10000);
  }
  EXPECT(exited_with(status, 0));
  EXPECT(atomic_load(&progress->forks) > 0);
}

int main(void) {
  progress =
      mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  EXPECT(progress != MAP_FAILED);
  for (int run = 1; run <= kRuns; ++run) {
    atomic_store(&progress->forks, 0);
    const pid_t runner = fork();
    EXPECT(runner >= 0);
    if (runner == 0) {
      setpgid(0, 0);
      fork_for_a_second();
    }
    setpgid(runner, runner);
    watch(runner, run);
  }
  return 0;
}
