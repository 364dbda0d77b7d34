// The helper thread of a process that has threads: it gives idle memory back without being asked,
// can be switched off, does not outlive a fork, and takes no signal of the program's.
//
// It is never the last thread, on which libc would run exit(); and waiting for its end is no place
// where a thread of the program is cancelled.
//
// usage: helper gives-back|off|fork|signals|last-thread|cancelled-join
#include "dropin.h"

enum { kThreads = 3, kBlocks = 60000, kBlockBytes = 1000, kBigBytes = 20 * kMiB };

static pthread_barrier_t g_barrier;

// Fills some 80 MiB, frees it, and stays alive without another call.
static void* fill_free_and_wait(void* arg) {
  const unsigned tag = (unsigned)(uintptr_t)arg;
  char** blocks = (char**)malloc(kBlocks * sizeof *blocks);
  EXPECT(blocks != NULL);
  for (unsigned i = 0; i < kBlocks; ++i) blocks[i] = (char*)filled(kBlockBytes, tag + i);
  char* big = (char*)filled(kBigBytes, tag);
  for (unsigned i = 0; i < kBlocks; ++i) check_and_free(blocks[i], kBlockBytes, tag + i);
  check_and_free(big, kBigBytes, tag);
  free(blocks);
  pthread_barrier_wait(&g_barrier);
  pthread_barrier_wait(&g_barrier);
  return NULL;
}

static void with_idle_threads(void (*meanwhile)(void)) {
  EXPECT(pthread_barrier_init(&g_barrier, NULL, kThreads + 1) == 0);
  pthread_t threads[kThreads];
  for (uintptr_t i = 0; i < kThreads; ++i) {
    EXPECT(pthread_create(&threads[i], NULL, fill_free_and_wait, (void*)(i * 7919)) == 0);
  }
  pthread_barrier_wait(&g_barrier);
  meanwhile();
  pthread_barrier_wait(&g_barrier);
  for (unsigned i = 0; i < kThreads; ++i) EXPECT(pthread_join(threads[i], NULL) == 0);
}

// The suite's time limit is the bound of the wait.
static void see_memory_go(void) {
  // The threads, and one more.
  EXPECT(count_threads() == 1 + kThreads + 1);
  while (resident_kib() > 20 * kKiB) usleep(20000);
}

static void see_no_helper(void) { EXPECT(count_threads() == kThreads + 1); }

static int g_pipe[2];

static void* wait_for_main(void* arg) {
  char byte;
  EXPECT(read(g_pipe[0], &byte, 1) == 1);
  return arg;
}

static void see_a_fork_without_helper(void) {
  EXPECT(pipe(g_pipe) == 0);
  const pid_t child = fork();
  if (child == 0) {
    EXPECT(count_threads() == 1);
    use_heap(5, 20000);
    EXPECT(count_threads() == 1);
    // Its own first thread brings it one of its own.
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, wait_for_main, NULL) == 0);
    EXPECT(count_threads() == 3);
    use_heap(6, 5000);
    EXPECT(write(g_pipe[1], "", 1) == 1);
    EXPECT(pthread_join(thread, NULL) == 0);
    EXPECT(count_threads() == 1);
    _exit(0);
  }
  expect_success(child);
}

// Every thread of the program blocks it: it must stay pending, not kill us through the helper.
static void see_a_signal_stay_pending(void) {
  EXPECT(kill(getpid(), SIGUSR1) == 0);
  usleep(100000);
  sigset_t pending;
  EXPECT(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) == 1);
  const struct timespec no_time = {0, 0};
  sigset_t user;
  sigemptyset(&user);
  sigaddset(&user, SIGUSR1);
  EXPECT(sigtimedwait(&user, NULL, &no_time) == SIGUSR1);
}

// More than the helper's stack has.
static void use_much_stack(void) {
  volatile char frame[400 * kKiB];
  for (size_t i = 0; i < sizeof frame; i += 512) frame[i] = 1;
}

static void* end_last(void* arg) {
  usleep(100000);
  use_heap(7, 5000);
  return arg;
}

// Main is gone, and nobody joins: the exit handler runs on the thread that ends last.
static void leave_it_to_the_last_thread(void) {
  EXPECT(atexit(use_much_stack) == 0);
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, end_last, NULL) == 0);
  EXPECT(pthread_detach(thread) == 0);
  pthread_exit(NULL);
}

static pthread_t g_ended;
static bool g_joined;

static void* join_though_cancelled(void* arg) {
  EXPECT(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL) == 0);
  usleep(100000);  // it has ended, and a join of it does not wait
  EXPECT(pthread_cancel(pthread_self()) == 0);
  EXPECT(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL) == 0);
  g_joined = pthread_join(g_ended, NULL) == 0;
  return arg;
}

static void* touch_heap(void* arg) {
  free(filled(100, 1));
  return arg;
}

static void join_with_a_cancellation_pending(void) {
  for (int i = 0; i < 20; ++i) {
    g_joined = false;
    pthread_t joiner;
    EXPECT(pthread_create(&g_ended, NULL, touch_heap, NULL) == 0);
    EXPECT(pthread_create(&joiner, NULL, join_though_cancelled, NULL) == 0);
    EXPECT(pthread_join(joiner, NULL) == 0);
    EXPECT(g_joined);
  }
}

int main(int argc, char** argv) {
  EXPECT(argc == 2);
  const char* what = argv[1];
  if (strcmp(what, "off") == 0 && getenv("MEMPOOL_HELPER") == NULL) {
    EXPECT(setenv("MEMPOOL_HELPER", "off", 1) == 0);
    execv(argv[0], argv);
    FAIL("execv");
  }
  if (strcmp(what, "signals") == 0) {
    sigset_t user;
    sigemptyset(&user);
    sigaddset(&user, SIGUSR1);
    EXPECT(pthread_sigmask(SIG_BLOCK, &user, NULL) == 0);
  }
  if (strcmp(what, "last-thread") == 0) leave_it_to_the_last_thread();
  if (strcmp(what, "cancelled-join") == 0) {
    join_with_a_cancellation_pending();
    return 0;
  }
  with_idle_threads(strcmp(what, "gives-back") == 0 ? see_memory_go
                    : strcmp(what, "off") == 0      ? see_no_helper
                    : strcmp(what, "fork") == 0     ? see_a_fork_without_helper
                                                    : see_a_signal_stay_pending);
  return 0;
}
