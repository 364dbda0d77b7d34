// A process that may not have pages of node 1 gets all it asks for, from node 0, whatever it asks
// its allocator to do; so also the threads that run on node 1.
//
//   confined cpuset       a control group with the memory of node 0 alone
//   confined policy       started with a memory policy, as numactl --membind=0 does
//   confined memoryless   node 1 has CPUs and no memory
#include <linux/mempolicy.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "nodes.h"

enum { kAllBytes = 15 * kMiB };

static void enter_cpuset(void) {
  EXPECT(mkdir("/tmp/cgroup", 0700) == 0 || errno == EEXIST);
  EXPECT(mount("none", "/tmp/cgroup", "cgroup2", 0, NULL) == 0 || errno == EBUSY);
  write_text("/tmp/cgroup/cgroup.subtree_control", "+cpuset");
  EXPECT(mkdir("/tmp/cgroup/confined", 0700) == 0 || errno == EEXIST);
  write_text("/tmp/cgroup/confined/cpuset.mems", "0");
  write_text("/tmp/cgroup/confined/cgroup.procs", "0");
}

static void set_policy(void) {
  const unsigned long node_0 = 1;
  EXPECT(syscall(SYS_set_mempolicy, MPOL_BIND, &node_0, sizeof node_0 * 8) == 0);
}

static long page_faults(void) {
  struct rusage usage;
  EXPECT(getrusage(RUSAGE_SELF, &usage) == 0);
  return usage.ru_minflt;
}

static void check(size_t size, const char* how) {
  Blocks blocks = make_blocks(size, kAllBytes);
  // Twice: what is freed is handed out again.
  for (int round = 0; round < 2; ++round) {
    for (int node = 0; node < kNodes; ++node) {
      const long faults = page_faults();
      run_on_node(node, allocate_and_touch, &blocks);
      // No node is nearer than the one that there is: what was free and resident is used as it is.
      EXPECT(round == 0 || page_faults() - faults < (long)(kAllBytes / kPage / 2));
      EXPECT(mostly_on(how, &blocks, 0, 1.0));
      run_on_node(1 - node, free_blocks, &blocks);
    }
  }
}

static void* use(void* arg) {
  stay_on_node((int)((intptr_t)arg % kNodes));
  use_heap((uint32_t)(uintptr_t)arg, 2000);
  return NULL;
}

int main(int argc, char** argv) {
  EXPECT(argc >= 2);
  if (argc == 2) {
    if (strcmp(argv[1], "cpuset") == 0) enter_cpuset();
    if (strcmp(argv[1], "policy") == 0) set_policy();
    // What is free stays, be it for long, or all of it: it is looked at where it lies.
    setenv("MEMPOOL_HELPER", "off", 1);
    setenv("MEMPOOL_RETAIN", "64M", 1);
    exec_self((const char* const[]){argv[1], "inside", NULL});
  }
  expect_same_allocator();
  use_huge_pages(false);
  check(200, argv[1]);
  check(100 * kKiB, argv[1]);
  check(3 * kMiB, argv[1]);
  run_threads(4, use);
  return 0;
}
