// A process that starts with one CPU in its affinity mask, each in turn, and is later let loose on
// all of them.
//
// A broken allocator sizes a table by the number of CPUs that it may use and indexes it by the
// number of the CPU that it is on.
#include <sched.h>

#include "dropin.h"

static void* allocate(void* arg) {
  use_heap((uint32_t)(uintptr_t)arg, 4000);
  return NULL;
}

static void* allocate_on_cpu(void* arg) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET((unsigned)(uintptr_t)arg, &one);
  sched_setaffinity(0, sizeof one, &one);  // a CPU that we may not use: stay where we are
  return allocate(arg);
}

static void live_inside(void) {
  cpu_set_t mask;
  EXPECT(sched_getaffinity(0, sizeof mask, &mask) == 0 && CPU_COUNT(&mask) == 1);
  run_threads(4, allocate);
  memset(&mask, 0xff, sizeof mask);  // all there are
  EXPECT(sched_setaffinity(0, sizeof mask, &mask) == 0);
  run_threads(64, allocate_on_cpu);
}

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "inside") == 0) {
    expect_same_allocator();
    live_inside();
    return 0;
  }
  cpu_set_t allowed;
  EXPECT(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
  int tried = 0;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE && tried < 16; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    EXPECT(sched_setaffinity(0, sizeof one, &one) == 0);
    const Child child = run_self((const char* const[]){"inside", NULL}, NULL);
    fprintf(stderr, "%s", child.err);
    EXPECT(exited_with(child.status, 0));
    ++tried;
  }
  EXPECT(tried > 0);
  return 0;
}
