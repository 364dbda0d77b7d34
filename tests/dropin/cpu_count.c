// How many CPUs the allocator counts: those of the mask and of the control group's quota, not the
// host's. All is read off the statistics of a child.
//
//   alone          a process without threads has one cache, whatever it may use
//   mask           one that may run on 1, 2, ... CPUs
//   pinned-first   one whose first thread is pinned later: the others share no slabs because of it
//   quota          one in a control group with a quota, and in a group below that
//
// A broken allocator counts what the host has.
#include <sched.h>
#include <sys/stat.h>

#include "dropin.h"
#include "stats_report.h"

enum { kThreads = 4 };

static pthread_barrier_t g_used;
static pthread_barrier_t g_end;

static cpu_set_t allowed(void) {
  cpu_set_t set;
  EXPECT(sched_getaffinity(0, sizeof set, &set) == 0);
  return set;
}

static cpu_set_t first_of(const cpu_set_t* set, int count) {
  cpu_set_t first;
  CPU_ZERO(&first);
  for (unsigned cpu = 0; cpu < CPU_SETSIZE && count > 0; ++cpu) {
    if (!CPU_ISSET(cpu, set)) continue;
    CPU_SET(cpu, &first);
    --count;
  }
  return first;
}

static void run_on(const cpu_set_t* set) { EXPECT(sched_setaffinity(0, sizeof *set, set) == 0); }

static void* use_and_wait(void* arg) {
  use_heap((uint32_t)(uintptr_t)arg, 3000);
  pthread_barrier_wait(&g_used);
  pthread_barrier_wait(&g_end);
  return arg;
}

static void with_threads(void) {
  EXPECT(pthread_barrier_init(&g_used, NULL, kThreads + 1) == 0);
  EXPECT(pthread_barrier_init(&g_end, NULL, kThreads + 1) == 0);
  for (uintptr_t i = 0; i < kThreads; ++i) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, use_and_wait, (void*)(i + 1)) == 0);
  }
  pthread_barrier_wait(&g_used);
  exit(0);
}

// Each thread on a CPU of its own, round and round; the first one on its own all the time.
static void* use_where_pinned(void* arg) {
  const cpu_set_t* all = (const cpu_set_t*)arg;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, all)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    run_on(&one);
    use_heap(cpu, 3000);
  }
  return NULL;
}

static void pin_the_first(void) {
  static cpu_set_t all;
  all = allowed();
  const cpu_set_t one = first_of(&all, 1);
  run_on(&one);
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) {
    EXPECT(pthread_create(&threads[i], NULL, use_where_pinned, &all) == 0);
  }
  for (int i = 0; i < kThreads; ++i) EXPECT(pthread_join(threads[i], NULL) == 0);
}

// What there is without a mask or a group of ours: these tests may run under a quota themselves.
static long usable_here(void) {
  return number_in(report_of_self((const char* const[]){"inside", "threads", NULL}), NULL,
                   "usable_cpus");
}

static void see_masks(void) {
  const cpu_set_t all = allowed();
  const long here = usable_here();
  for (int count = 1; count <= CPU_COUNT(&all) && count <= 8; ++count) {
    const cpu_set_t some = first_of(&all, count);
    run_on(&some);
    const char* report = report_of_self((const char* const[]){"inside", "threads", NULL});
    EXPECT(number_in(report, NULL, "usable_cpus") == (count < here ? count : here));
    EXPECT(number_in(report, NULL, "cpu_caches") <= count);
  }
}

// --- A control group of our own, with a quota of so many thousandths of a CPU. ---

static char g_group[128];
static bool g_version_two;

static bool write_file(const char* folder, const char* name, const char* text) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
  close(fd);
  return written;
}

static bool set_quota(const char* folder, int thousandths) {
  char text[64];
  snprintf(text, sizeof text, g_version_two ? "%d 100000" : "%d", thousandths * 100);
  return write_file(folder, g_version_two ? "cpu.max" : "cpu.cfs_quota_us", text);
}

// Of the kind whose quota this machine lets us set, if any.
static bool make_group(void) {
  static const char* const kMounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/cpu"};
  for (int i = 0; i < 2; ++i) {
    g_version_two = i == 0;
    snprintf(g_group, sizeof g_group, "%s/dropin_cpu_count_%d", kMounts[i], (int)getpid());
    if (mkdir(g_group, 0755) != 0) continue;
    if (set_quota(g_group, 1000)) return true;
    rmdir(g_group);
  }
  return false;
}

static const char* report_from(const char* folder, const char* what) {
  return report_of_self((const char* const[]){"inside", what, folder, NULL});
}

static void enter(const char* folder) {
  EXPECT(write_file(folder, "cgroup.procs", "0") || write_file(folder, "tasks", "0"));
}

static void see_quotas(void) {
  const long here = usable_here();
  if (!make_group()) SKIP("not allowed to make a control group with a quota");
  char below[160];
  snprintf(below, sizeof below, "%s/below", g_group);
  EXPECT(mkdir(below, 0755) == 0);
  const long one = number_in(report_from(g_group, "in-group"), NULL, "usable_cpus");
  const long one_below = number_in(report_from(below, "in-group"), NULL, "usable_cpus");
  const bool set = set_quota(g_group, 1100);
  const long two = number_in(report_from(g_group, "in-group"), NULL, "usable_cpus");
  EXPECT(rmdir(below) == 0 && rmdir(g_group) == 0);
  EXPECT(set);
  EXPECT(one == 1);
  EXPECT(one_below == 1);
  EXPECT(two == (here < 2 ? here : 2));
}

static void live_inside(char** argv) {
  expect_same_allocator();
  const char* what = argv[2];
  if (argv[3] != NULL) {
    // It is counted where the process starts.
    enter(argv[3]);
    argv[3] = NULL;
    execv("/proc/self/exe", argv);
    FAIL("execv");
  }
  if (strcmp(what, "alone") == 0) {
    use_heap(1, 3000);
  } else if (strcmp(what, "pinned-first") == 0) {
    pin_the_first();
  } else {
    with_threads();
  }
}

int main(int argc, char** argv) {
  EXPECT(argc >= 2);
  const char* what = argv[1];
  if (strcmp(what, "inside") == 0) {
    live_inside(argv);
  } else if (strcmp(what, "alone") == 0) {
    const char* report = report_of_self((const char* const[]){"inside", "alone", NULL});
    EXPECT(number_in(report, NULL, "cpu_caches") == 1);
  } else if (strcmp(what, "pinned-first") == 0) {
    const long here = usable_here();
    const char* report = report_of_self((const char* const[]){"inside", "pinned-first", NULL});
    EXPECT(number_in(report, NULL, "cpu_caches") >= (here < 2 ? here : 2));
  } else if (strcmp(what, "mask") == 0) {
    see_masks();
  } else {
    see_quotas();
  }
  return 0;
}
