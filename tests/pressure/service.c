// The service manager says that memory is short (systemd.io/MEMORY_PRESSURE), and the helper hears
// it; a program that closes the descriptors it knows nothing of loses nothing and waits for nobody.
//
//   service told SECONDS      a line on the FIFO that MEMORY_PRESSURE_WATCH names leads to a call
//                             of the listener, though the limit is far, and to free memory going
//                             back
//   service refused SECONDS   MEMORY_PRESSURE_WATCH=/dev/null: nothing is waited for
//   service closed SECONDS    all descriptors but the first three are closed, and the heap is used:
//                             the program's last join returns, and there is one thread
//   service reopened SECONDS  all descriptors are closed: the FIFO is heard all the same
//
// SECONDS  for so long nothing happens before: after more than 60 the helper is asleep.
// With MEMPOOL_LIMIT=512M. The suite's time limit is the bound of each wait.
#include <stdatomic.h>
#include <sys/stat.h>

#include "pressure_test.h"

enum { kHeapMib = 100, kFreeMib = 60 };

static pthread_barrier_t g_end;
static unsigned g_quiet_s;
static atomic_ullong g_wanted_bytes;
static atomic_uint g_calls;

static void on_pressure(const struct ep_pressure* now, uint64_t wanted_bytes, void* argument) {
  EXPECT(argument == &g_calls && now->shortages > 0 && now->level == EP_PRESSURE_NONE);
  atomic_store(&g_wanted_bytes, wanted_bytes);
  atomic_fetch_add(&g_calls, 1);
}

static void* wait_for_end(void* argument) {
  use_heap(1, 1000);
  pthread_barrier_wait(&g_end);
  return argument;
}

// Main, the other thread, and one more.
static bool has_helper(void) { return count_threads() == 3; }

static pthread_t begin(void) {
  pthread_t thread;
  EXPECT(pthread_barrier_init(&g_end, NULL, 2) == 0);
  EXPECT(pthread_create(&thread, NULL, wait_for_end, NULL) == 0);
  press_to_mib(kHeapMib);
  work_until(has_helper);
  sleep(g_quiet_s);
  return thread;
}

static void end(pthread_t thread) {
  pthread_barrier_wait(&g_end);
  EXPECT(pthread_join(thread, NULL) == 0);
  EXPECT(count_threads() == 1);
}

static bool has_open(const char* file) {
  struct stat wanted, found;
  EXPECT(stat(file, &wanted) == 0);
  for (int fd = 0; fd < 4096; ++fd) {
    if (fstat(fd, &found) == 0 && found.st_ino == wanted.st_ino && found.st_dev == wanted.st_dev) {
      return true;
    }
  }
  return false;
}

static int told(void) {
  EXPECT(ep_on_pressure(on_pressure, &g_calls) == 0);
  const pthread_t thread = begin();
  EXPECT(atomic_load(&g_calls) == 0);
  const struct ep_pressure before = pressure_now();
  EXPECT(before.shortages == 0 && before.level == EP_PRESSURE_NONE);
  const int fifo = open(getenv("MEMORY_PRESSURE_WATCH"), O_WRONLY | O_CLOEXEC);
  EXPECT(fifo >= 0 && write(fifo, "x", 1) == 1);
  while (atomic_load(&g_calls) == 0) usleep(10000);
  // A share of the heap, not all of it.
  const unsigned long long wanted = atomic_load(&g_wanted_bytes);
  EXPECT(wanted > 0 && wanted < (unsigned long long)kHeapMib * kMiB / 8);
  // What is free goes, and then nobody is asked.
  const unsigned calls = atomic_load(&g_calls);
  press_to_mib(kHeapMib - kFreeMib);
  EXPECT(write(fifo, "x", 1) == 1 && close(fifo) == 0);
  while (resident_kib() > (kHeapMib - kFreeMib + 16) * kKiB) usleep(10000);
  while (pressure_now().shortages < 2) usleep(10000);
  EXPECT(atomic_load(&g_calls) == calls);
  EXPECT(has_open(getenv("MEMORY_PRESSURE_WATCH")));
  end(thread);
  EXPECT(!has_open(getenv("MEMORY_PRESSURE_WATCH")));
  return 0;
}

// What it sleeps on, where there is anything to wait for.
static bool has_eventfd(void) {
  for (int fd = 900; fd < 4096; ++fd) {
    char path[64], target[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(path, target, sizeof target - 1);
    if (length > 0 && strncmp(target, "anon_inode:[eventfd]", (size_t)length) == 0) return true;
  }
  return false;
}

static int refused(void) {
  EXPECT(ep_on_pressure(on_pressure, &g_calls) == 0);
  const pthread_t thread = begin();
  EXPECT(!has_eventfd());
  end(thread);
  EXPECT(atomic_load(&g_calls) == 0 && pressure_now().shortages == 0);
  return 0;
}

static void close_all(void) {
  for (int fd = 3; fd < 4096; ++fd) close(fd);
}

static int reopened(void) {
  EXPECT(ep_on_pressure(on_pressure, &g_calls) == 0);
  const pthread_t thread = begin();
  EXPECT(has_eventfd());
  close_all();
  const int fifo = open(getenv("MEMORY_PRESSURE_WATCH"), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  EXPECT(fifo >= 0);
  for (uint32_t round = 0; atomic_load(&g_calls) == 0; ++round) {
    EXPECT(write(fifo, "x", 1) == 1 || errno == EAGAIN);
    work_for_ms(200);
  }
  EXPECT(close(fifo) == 0);
  end(thread);
  return 0;
}

static int closed(void) {
  const pthread_t thread = begin();
  close_all();
  // Whoever uses the heap calls the helper, which cannot hear it.
  press_to_mib(kHeapMib - kFreeMib);
  press_to_mib(kHeapMib);
  pthread_barrier_wait(&g_end);
  EXPECT(pthread_join(thread, NULL) == 0);
  // Asleep it does not hear that it shall go, and nobody waits for it.
  EXPECT(g_quiet_s > 60 || count_threads() == 1);
  return 0;
}

static int run_with(const char* watch, const char* const* args) {
  char variable[128];
  snprintf(variable, sizeof variable, "MEMORY_PRESSURE_WATCH=%s", watch);
  EXPECT(putenv(variable) == 0 && setenv("EP_TEST_INSIDE", "1", 1) == 0);
  const pid_t child = fork();
  if (child == 0) exec_self(args);
  int status = 0;
  EXPECT(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
  return WEXITSTATUS(status);
}

int main(int argc, char** argv) {
  EXPECT(argc == 3);
  need_pressure_functions();
  const char* what = argv[1];
  g_quiet_s = (unsigned)strtoul(argv[2], NULL, 10);
  if (getenv("EP_TEST_INSIDE") != NULL) {
    if (strcmp(what, "told") == 0) return told();
    if (strcmp(what, "reopened") == 0) return reopened();
    return strcmp(what, "refused") == 0 ? refused() : closed();
  }
  const char* const args[] = {what, argv[2], NULL};
  if (strcmp(what, "refused") == 0) return run_with("/dev/null", args);
  char folder[] = "/tmp/service.XXXXXX";
  char fifo[64];
  EXPECT(mkdtemp(folder) != NULL);
  snprintf(fifo, sizeof fifo, "%s/fifo", folder);
  EXPECT(mkfifo(fifo, 0600) == 0);
  const int result = run_with(fifo, args);
  EXPECT(unlink(fifo) == 0 && rmdir(folder) == 0);
  return result;
}
