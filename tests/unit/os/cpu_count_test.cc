// os/cpu_count.h: the parsers over texts as kernels write them and as they do not, the walk through
// control groups over folders made here, and this machine.
#include "os/cpu_count.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace elasticpool {
namespace {

namespace fs = std::filesystem;

size_t mask_of(const std::string& hex) {
  return cpus_of_mask(("Name:\tx\nCpus_allowed:\t" + hex).c_str());
}

TEST(CpuCount, OfAMask) {
  EXPECT_EQ(mask_of("1\n"), 1U);
  EXPECT_EQ(mask_of("3\nCpus_allowed_list:\t0-1\n"), 2U);
  EXPECT_EQ(mask_of("a5\n"), 4U);
  EXPECT_EQ(mask_of("ff,00000000,ffffffff\n"), 40U);
  EXPECT_EQ(mask_of("0\n"), kCpusMax) << "nobody runs nowhere";
  EXPECT_EQ(mask_of("ff,0000"), kCpusMax) << "cut off";
  EXPECT_EQ(mask_of("0-7\n"), kCpusMax);
  EXPECT_EQ(cpus_of_mask("Name:\tCpus_allowed:\t1\n"), kCpusMax) << "a program of that name";
  EXPECT_EQ(cpus_of_mask("Cpus_allowed_list:\t0\n"), kCpusMax);
  EXPECT_EQ(cpus_of_mask(""), kCpusMax);
}

TEST(CpuCount, OfAQuotaIsRoundedUp) {
  for (uint64_t period_us : {1000U, 100'000U, 1'000'000U}) {
    for (uint64_t cpus = 1; cpus <= 200; ++cpus) {
      ASSERT_EQ(cpus_of_quota(cpus * period_us, period_us), cpus);
      ASSERT_EQ(cpus_of_quota(cpus * period_us - 1, period_us), cpus);
      ASSERT_EQ(cpus_of_quota(cpus * period_us + 1, period_us), cpus + 1);
    }
    EXPECT_EQ(cpus_of_quota(1, period_us), 1U);
  }
  EXPECT_EQ(cpus_of_quota(UINT64_MAX, 1), kCpusMax);
  EXPECT_EQ(cpus_of_quota(1, 0), kCpusMax);
}

TEST(CpuCount, OfCpuMax) {
  EXPECT_EQ(cpus_of_max("max 100000\n"), kCpusMax);
  EXPECT_EQ(cpus_of_max("150000 100000\n"), 2U);
  EXPECT_EQ(cpus_of_max("50000 100000\n"), 1U);
  EXPECT_EQ(cpus_of_max("400000 100000"), 4U);
  for (const char* other : {"", "\n", "100000", "100000\n", "100000 max", "-1 100000", "1 0\n"}) {
    EXPECT_EQ(cpus_of_max(other), kCpusMax) << other;
  }
}

// A /proc and a /sys/fs/cgroup of our own.
class CpuGroups : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/ep_cpu_count_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& file, const std::string& text) const {
    fs::create_directories(fs::path(root_ + "/" + file).parent_path());
    std::ofstream(root_ + "/" + file) << text;
  }
  UsableCpus count() const {
    const std::string status = root_ + "/status";
    const std::string groups = root_ + "/cgroup";
    const std::string mount = root_ + "/mount";
    return count_usable_cpus({status.c_str(), groups.c_str(), mount.c_str()});
  }

  std::string root_;
};

TEST_F(CpuGroups, WithoutFilesNothingLimits) {
  EXPECT_EQ(count().least(), kCpusMax);
  write("status", "nothing\n");
  write("cgroup", "nothing\n\n::\n0:\n0::\n:::");
  EXPECT_EQ(count().least(), kCpusMax);
}

TEST_F(CpuGroups, MaskAndQuotaAreTwo) {
  write("status", "Name:\tx\nCpus_allowed:\tff\n");
  write("cgroup", "0::/a\n");
  write("mount/a/cpu.max", "300000 100000\n");
  EXPECT_EQ(count().by_mask, 8U);
  EXPECT_EQ(count().by_quota, 3U);
  EXPECT_EQ(count().least(), 3U);
  write("status", "Name:\tx\nCpus_allowed:\t2\n");
  EXPECT_EQ(count().least(), 1U);
}

TEST_F(CpuGroups, OfVersionTwoTheTightestOfAllAbove) {
  write("cgroup", "0::/a/b/c\n");
  write("mount/a/b/c/cpu.max", "max 100000\n");
  EXPECT_EQ(count().by_quota, kCpusMax);
  write("mount/a/cpu.max", "500000 100000\n");
  EXPECT_EQ(count().by_quota, 5U);
  write("mount/a/b/cpu.max", "250000 100000\n");
  EXPECT_EQ(count().by_quota, 3U);
  write("mount/a/b/c/cpu.max", "600000 100000\n");
  EXPECT_EQ(count().by_quota, 3U);
  write("mount/cpu.max", "100000 100000\n");
  EXPECT_EQ(count().by_quota, 1U) << "the top of what a container sees";
  write("mount/a/b/c/d/cpu.max", "1 100000\n");
  write("mount/ab/cpu.max", "1 100000\n");
  EXPECT_EQ(count().by_quota, 1U);
}

TEST_F(CpuGroups, OfVersionTwoBesideVersionOne) {
  write("cgroup", "1:name=systemd:/s\n0::/a\n");
  write("mount/unified/a/cpu.max", "200000 100000\n");
  EXPECT_EQ(count().by_quota, 2U);
}

TEST_F(CpuGroups, OfVersionOne) {
  write("cgroup", "3:cpuset:/other\n2:cpu,cpuacct:/a/b\n1:name=systemd:/\n");
  write("mount/cpu/other/cpu.cfs_quota_us", "1\n");
  write("mount/cpu/other/cpu.cfs_period_us", "100000\n");
  write("mount/cpu/a/b/cpu.cfs_quota_us", "-1\n");
  write("mount/cpu/a/b/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(count().by_quota, kCpusMax);
  write("mount/cpu/a/cpu.cfs_quota_us", "250000\n");
  EXPECT_EQ(count().by_quota, kCpusMax) << "no period";
  write("mount/cpu/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(count().by_quota, 3U);
  write("mount/cpu,cpuacct/a/b/cpu.cfs_quota_us", "70000\n");
  write("mount/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(count().by_quota, 1U);
}

TEST_F(CpuGroups, OfAContainerWhosePathIsTheHosts) {
  write("cgroup", "5:cpuacct,cpu:/docker/0123\n");
  write("mount/cpu/cpu.cfs_quota_us", "200000\n");
  write("mount/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(count().by_quota, 2U);
}

TEST_F(CpuGroups, OfAPathThatIsTooLongTheUpperPart) {
  std::string path = "/a";
  for (int i = 0; i < 100; ++i) path += "/abcdefghi";
  write("cgroup", "0::" + path + "\n");
  write("mount/a/cpu.max", "200000 100000\n");
  EXPECT_EQ(count().by_quota, 2U);
}

TEST(CpuCount, OfThisProcessIsItsMaskAtMost) {
  cpu_set_t set;
  if (sched_getaffinity(getpid(), sizeof set, &set) != 0) GTEST_SKIP() << "refused here";
  if (access("/proc/self/status", R_OK) != 0) GTEST_SKIP() << "no /proc here";
  EXPECT_EQ(count_usable_cpus({}).by_mask, static_cast<size_t>(CPU_COUNT(&set)));
  EXPECT_EQ(usable_cpus().least(), kCpusMax) << "not counted yet";
  count_own_cpus();
  EXPECT_EQ(usable_cpus(), count_usable_cpus({}));
}

}  // namespace
}  // namespace elasticpool
