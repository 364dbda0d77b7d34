// os/cpu.h: the number of the CPU, through rseq and without.
#include "os/cpu.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>
#include <vector>

namespace elasticpool {
namespace {

std::vector<size_t> allowed_cpus() {
  std::vector<size_t> cpus;
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

// On a thread that may run nowhere else.
void expect_current_on(size_t cpu) {
  std::thread([cpu] {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) return;
    EXPECT_EQ(index_of(current_cpu()), cpu);
  }).join();
}

TEST(Cpu, PinnedThreadIsWhereItIsPinned) {
  const std::vector<size_t> cpus = allowed_cpus();
  if (cpus.empty()) GTEST_SKIP() << "sched_getaffinity is refused here";
  for (const size_t cpu : cpus) expect_current_on(cpu);  // libc says so
  cpu_boot();
  for (const size_t cpu : cpus) expect_current_on(cpu);  // rseq says so, where glibc has it
}

TEST(Cpu, IsANumberOfThisMachine) {
  cpu_boot();
  for (int i = 0; i < 1000; ++i) ASSERT_LT(index_of(current_cpu()), 8192U);
}

}  // namespace
}  // namespace elasticpool
