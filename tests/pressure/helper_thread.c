// Who gets the helper thread, and how often it wakes up.
//
//   helper_thread alone             a process of one thread never has it, however large and pressed
//   helper_thread small             nor has one with threads and a heap below MEMPOOL_HELPER_HEAP
//   helper_thread large             one with threads has it once its heap is larger
//   helper_thread busy SECONDS      while the heap changes: a wake-up a second, and a few
//   helper_thread quiet SECONDS     when nothing has changed for 70 s: none
//
// In a group of 512 MiB, or with MEMPOOL_LIMIT=512M. The helper is the thread that the program has
// not made; wake-ups are its voluntary context switches, as /proc counts them.
#include <stdatomic.h>

#include "pressure_test.h"

// MEMPOOL_HELPER_HEAP is 64M.
enum { kSmallMib = 24, kLargeMib = 100, kPressedMib = 480, kThreads = 3, kQuietAfterS = 70 };
// What a reader of /proc may see of the kernel's own doing.
enum { kSlackWakeUps = 3, kBusyMib = 90 };

static atomic_bool g_end;

// The program's own threads but the first.
static atomic_int g_own[kThreads];
static atomic_uint g_own_count;

static void register_thread(void) { g_own[atomic_fetch_add(&g_own_count, 1)] = gettid(); }

static bool is_own(int thread) {
  bool found = thread == getpid();
  for (unsigned i = 0; i < kThreads; ++i) found = found || atomic_load(&g_own[i]) == thread;
  return found;
}

// All threads of the program must be registered.
// -> the wake-ups of the helper so far; -1 where there is none
static long helper_wake_ups(void) {
  long sum = -1;
  int threads[kThreads + 2];
  const long count = list_threads(threads, kThreads + 2);
  EXPECT(count <= kThreads + 2);
  for (long i = 0; i < count; ++i) {
    char path[64];
    if (is_own(threads[i])) continue;
    snprintf(path, sizeof path, "/proc/self/task/%d/status", threads[i]);
    // Not the others: to be preempted is no wake-up.
    sum = number_after(path, "\nvoluntary_ctxt_switches:");
  }
  return sum;
}

static bool has_helper(void) { return helper_wake_ups() >= 0; }

static void* wait_for_end(void* argument) {
  register_thread();
  while (!atomic_load(&g_end)) usleep(1000);
  return argument;
}

static void* use_heap_until_end(void* argument) {
  register_thread();
  for (uint32_t round = 0; !atomic_load(&g_end); ++round) {
    use_heap(round, 20);
    usleep(2000);
  }
  return argument;
}

static void alone(void) {
  const unsigned sizes[] = {kSmallMib, kLargeMib, kPressedMib, kSmallMib, kPressedMib};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
    press_to_mib(sizes[i]);
    work_for_ms(700);
    pressure_now();
    EXPECT(count_threads() == 1);
  }
}

static void with_threads(void* (*body)(void*), void (*meanwhile)(void)) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) EXPECT(pthread_create(&threads[i], NULL, body, NULL) == 0);
  while (atomic_load(&g_own_count) < kThreads) usleep(1000);
  meanwhile();
  atomic_store(&g_end, true);
  for (int i = 0; i < kThreads; ++i) EXPECT(pthread_join(threads[i], NULL) == 0);
}

static void see_none(void) {
  for (int i = 0; i < 5; ++i) {
    press_to_mib(i % 2 == 0 ? kSmallMib : 1);
    work_for_ms(500);
    EXPECT(count_threads() == 1 + kThreads && !has_helper());
  }
}

static void see_one(void) {
  press_to_mib(kLargeMib);
  work_until(has_helper);
  EXPECT(count_threads() == 1 + kThreads + 1);
}

static int g_seconds;

static void expect_wake_ups(long first, long bound) {
  const long woken = helper_wake_ups() - first;
  printf("wake_ups=%ld seconds=%d\n", woken, g_seconds);
  fflush(stdout);
  EXPECT(first >= 0 && woken >= 0 && woken <= bound);
}

static void see_busy(void) {
  press_to_mib(kLargeMib);
  work_until(has_helper);
  const uint64_t start_ns = now_ns();
  const long first = helper_wake_ups();
  while (now_ns() - start_ns < (uint64_t)g_seconds * 1000000000u) {
    press_to_mib(kBusyMib);
    press_to_mib(kLargeMib);
    usleep(5000);
  }
  expect_wake_ups(first, (long)((now_ns() - start_ns) / 1000000000u) + kSlackWakeUps);
}

static pthread_barrier_t g_quiet;

static void* be_quiet(void* argument) {
  register_thread();
  pthread_barrier_wait(&g_quiet);
  return argument;
}

static void quiet(void) {
  EXPECT(pthread_barrier_init(&g_quiet, NULL, 2) == 0);
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, be_quiet, NULL) == 0);
  while (atomic_load(&g_own_count) == 0) usleep(1000);
  press_to_mib(kLargeMib);
  work_until(has_helper);
  sleep(kQuietAfterS);
  const long first = helper_wake_ups();
  const uint32_t shortages = pressure_now().shortages;
  sleep((unsigned)g_seconds);
  // Where the kernel says that memory is short it hears it, and sleeps on.
  const long heard = (long)(pressure_now().shortages - shortages);
  expect_wake_ups(first, kSlackWakeUps + 4 * heard);
  EXPECT(heard <= 6);
  pthread_barrier_wait(&g_quiet);
  EXPECT(pthread_join(thread, NULL) == 0);
}

int main(int argc, char** argv) {
  EXPECT(argc >= 2);
  const char* mode = argv[1];
  g_seconds = argc == 3 ? (int)strtol(argv[2], NULL, 10) : 1;
  EXPECT(g_seconds > 0);
  need_pressure_functions();
  if (strcmp(mode, "alone") == 0) {
    alone();
  } else if (strcmp(mode, "small") == 0) {
    with_threads(use_heap_until_end, see_none);
  } else if (strcmp(mode, "large") == 0) {
    with_threads(wait_for_end, see_one);
  } else if (strcmp(mode, "busy") == 0) {
    with_threads(wait_for_end, see_busy);
  } else {
    EXPECT(strcmp(mode, "quiet") == 0);
    quiet();
  }
  press_to_mib(0);
  return 0;
}
