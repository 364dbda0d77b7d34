// os/memory_limits.h: the nearest limit over fake trees.
#include "os/memory_limits.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <cstring>
#include <utility>

#include "os/memory_files.h"

namespace elasticpool {
namespace {

using test::in_child;
using test::in_mib;
using test::kept_descriptors;
using test::kMiB;
using test::open_descriptors;
using MemoryLimitsTest = test::MemoryFilesTest;

MemoryReading reading_of(uint64_t limit_bytes, uint64_t used_bytes) {
  MemoryReading reading;
  reading.source = MemorySource::kSystem;
  reading.limit_bytes = limit_bytes;
  reading.used_bytes = used_bytes;
  return reading;
}

TEST(MemoryReadingTest, Nearer) {
  const MemoryReading none;
  EXPECT_FALSE(none.is_nearer_than(none));
  EXPECT_FALSE(none.is_nearer_than(reading_of(9, 0)));
  EXPECT_TRUE(reading_of(9, 0).is_nearer_than(none));
  EXPECT_TRUE(reading_of(9, 1).is_nearer_than(reading_of(9, 0)));
  EXPECT_FALSE(reading_of(9, 0).is_nearer_than(reading_of(9, 1)));
  EXPECT_FALSE(reading_of(9, 1).is_nearer_than(reading_of(8, 0))) << "equal room: the first stays";
  EXPECT_TRUE(reading_of(0, 3).is_nearer_than(reading_of(9, 9)));
  EXPECT_FALSE(reading_of(9, 9).is_nearer_than(reading_of(0, 3)));
  EXPECT_FALSE(reading_of(0, 0).is_nearer_than(reading_of(5, 5)));
  EXPECT_TRUE(reading_of(0, UINT64_MAX).is_nearer_than(reading_of(1, UINT64_MAX)));
  EXPECT_EQ(reading_of(0, UINT64_MAX).room_bytes(), 0U);
  EXPECT_EQ(reading_of(UINT64_MAX - 1, 0).room_bytes(), UINT64_MAX - 1);
}

// What is used already may be the same.
TEST(MemoryReadingTest, NearerIsWhatWillBe) {
  MemoryReading reading = reading_of(100, 50);
  reading.untouched_bytes = 30;
  EXPECT_EQ(reading.expected_bytes(), 80U);
  EXPECT_EQ(reading.room_bytes(), 20U);
  EXPECT_TRUE(reading.is_nearer_than(reading_of(100, 79)));
  EXPECT_FALSE(reading.is_nearer_than(reading_of(100, 80)));
  reading.untouched_bytes = 60;
  EXPECT_EQ(reading.room_bytes(), 0U);
  EXPECT_TRUE(reading.is_nearer_than(reading_of(100, 109)));
  EXPECT_FALSE(reading.is_nearer_than(reading_of(100, 110)));
  for (const uint64_t used : {uint64_t{1}, UINT64_MAX}) {
    MemoryReading endless = reading_of(0, used);
    endless.untouched_bytes = UINT64_MAX;
    EXPECT_EQ(endless.expected_bytes(), UINT64_MAX) << "no overflow";
  }
}

TEST_F(MemoryLimitsTest, WithoutFilesOnlyTheOption) {
  open();
  expect_none();
  EXPECT_EQ(nearest_path(), "none");
  open(64 * kMiB);
  expect(MemorySource::kOption, 64, 3, 3 * kMiB);
  expect(MemorySource::kOption, 64, 90, 90 * kMiB);
  open(0);
  expect(MemorySource::kOption, 0, 0);
  EXPECT_EQ(kept_descriptors().size(), 0U);
}

TEST_F(MemoryLimitsTest, BeforeItIsOpened) {
  expect_none();
  EXPECT_EQ(nearest_path(), "none");
  limits_.close_sources();
}

TEST_F(MemoryLimitsTest, OfVersionTwoTheLeastRoom) {
  write("cgroup", "0::/a/b/c\n");
  group("/a/b/c", "max\n", 10);
  group("/a/b", in_mib(200), 20);
  group("/a", in_mib(300), 150);
  group("", "max\n", 500);
  open();
  expect(MemorySource::kGroupMax, 300, 150);
  EXPECT_EQ(nearest_path(), "/a");
  write("mount/a/b/memory.current", in_mib(60));
  expect(MemorySource::kGroupMax, 200, 60);
  EXPECT_EQ(nearest_path(), "/a/b");
  write("mount/a/memory.max", in_mib(160));
  expect(MemorySource::kGroupMax, 160, 150);
  write("mount/a/memory.max", "max\n");
  expect(MemorySource::kGroupMax, 200, 60);
  write("mount/a/memory.max", "0\n");
  expect(MemorySource::kGroupMax, 0, 150);
}

TEST_F(MemoryLimitsTest, ReadsWithoutOpening) {
  write("cgroup", "0::/a\n");
  group("/a", in_mib(200), 190);
  write("mount/a/memory.stat", "anon 5\ninactive_file " + in_mib(7));
  system(10000, 9000);
  write("statm", "1 1 1 1 0 1 0\n");
  const std::set<int> before = open_descriptors();
  open();
  std::set<int> opened = open_descriptors();
  for (const int fd : before) opened.erase(fd);
  EXPECT_EQ(opened.size(), 5U) << "max, current, stat, meminfo, statm";
  EXPECT_GE(*opened.begin(), KeptFile::kLeastDescriptor);
  // No new descriptor can be had, yet all is read.
  const int status = in_child([&] {
    const rlimit none = {0, 0};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    expect(MemorySource::kGroupMax, 200, 183);
    expect(MemorySource::kGroupMax, 200, 183);
  });
  EXPECT_EQ(status, 0);
}

TEST_F(MemoryLimitsTest, HighIsALimit) {
  write("cgroup", "0::/a\n");
  group("/a", in_mib(200), 50);
  write("mount/a/memory.high", in_mib(100));
  open();
  expect(MemorySource::kGroupHigh, 100, 50);
  write("mount/a/memory.max", in_mib(80));
  expect(MemorySource::kGroupMax, 80, 50);
  write("mount/a/memory.max", in_mib(100));
  expect(MemorySource::kGroupMax, 100, 50);
  write("mount/a/memory.max", "max\n");
  expect(MemorySource::kGroupHigh, 100, 50);
  write("mount/a/memory.high", "max\n");
  expect_none();
}

TEST_F(MemoryLimitsTest, OfVersionOneAndHybrid) {
  write("cgroup", "4:memory:/a/b\n1:name=systemd:/\n0::/a\n");
  group_v1("/a/b", "9223372036854771712\n", 30);
  group_v1("/a", in_mib(100), 40);
  group_v1("", "9223372036854771712\n", 400);
  write("mount/unified/a/cgroup.procs", "");
  open();
  expect(MemorySource::kGroupV1, 100, 40);
  EXPECT_EQ(nearest_path(), "/a");
  // The controller is in the other hierarchy.
  write("cgroup", "1:name=systemd:/\n0::/a\n");
  group("/unified/a", in_mib(70), 20);
  limits_.refresh();
  expect(MemorySource::kGroupMax, 70, 20);
}

TEST_F(MemoryLimitsTest, OfAContainerWhosePathIsTheHosts) {
  write("cgroup", "0::/docker/0123/sub\n");
  group("", in_mib(100), 40);
  group("/sub", in_mib(50), 1);
  open();
  expect(MemorySource::kGroupMax, 50, 1);
  write("mount/sub/memory.max", in_mib(70));
  expect(MemorySource::kGroupMax, 100, 40);
}

TEST_F(MemoryLimitsTest, ALimitThatComesIsSeenByRefresh) {
  write("cgroup", "0::/a/b\n");
  group("/a", "max\n", 40);
  group("/a/b", "max\n", 30);
  open();
  expect_none();
  EXPECT_EQ(nearest_path(), "/a/b");
  EXPECT_EQ(kept_descriptors().size(), 0U);
  write("mount/a/memory.max", in_mib(100));
  expect_none();
  limits_.refresh();
  expect(MemorySource::kGroupMax, 100, 40);
  EXPECT_EQ(nearest_path(), "/a");
  write("mount/a/memory.max", "max\n");
  limits_.refresh();
  expect_none();
  EXPECT_EQ(kept_descriptors().size(), 0U);
}

TEST_F(MemoryLimitsTest, AMoveIsSeenByRefresh) {
  write("cgroup", "0::/a\n");
  group("/a", in_mib(100), 40);
  group("/b", in_mib(50), 20);
  open();
  expect(MemorySource::kGroupMax, 100, 40);
  write("cgroup", "0::/b\n");
  const size_t kept = kept_descriptors().size();
  for (int i = 0; i < 100; ++i) limits_.refresh();
  expect(MemorySource::kGroupMax, 50, 20);
  EXPECT_EQ(kept_descriptors().size(), kept) << "each refresh closes what it replaces";
  limits_.close_sources();
  EXPECT_EQ(nearest_path(), "none");
  expect_none();
}

TEST_F(MemoryLimitsTest, AGroupThatCannotBeReadLeadsToTheNext) {
  write("cgroup", "0::/a/b\n");
  group("/a/b", in_mib(100), 90);
  group("/a", in_mib(200), 40);
  for (const char* broken : {"memory.max", "memory.current"}) {
    for (const char* text : {"", "x\n", "\n", "12 13\n"}) {
      group("/a/b", in_mib(100), 90);
      open();
      expect(MemorySource::kGroupMax, 100, 90);
      write(std::string("mount/a/b/") + broken, text);
      expect(MemorySource::kGroupMax, 200, 40);
      expect(MemorySource::kGroupMax, 200, 40);
      group("/a/b", in_mib(100), 90);
      limits_.refresh();
      expect(MemorySource::kGroupMax, 100, 90);
    }
  }
}

// The process was moved, and its old group removed: nobody has told us.
TEST_F(MemoryLimitsTest, AGroupThatHasGoneIsFollowedAtOnce) {
  write("cgroup", "0::/p/a\n");
  group("/p", in_mib(120), 110);
  group("/p/a", in_mib(100), 90);
  group("/b", in_mib(200), 40);
  open();
  write("cgroup", "0::/b\n");
  write("mount/p/a/memory.current", "");
  expect(MemorySource::kGroupMax, 200, 40);
  // And now nothing can be found any more.
  write("mount/b/memory.current", "");
  remove("cgroup");
  expect_none();
  EXPECT_EQ(kept_descriptors().size(), 0U);
}

TEST_F(MemoryLimitsTest, FilesOfNoKnownKind) {
  write("cgroup", "0::/a/b/c\n");
  std::filesystem::create_directories(path("mount/a/b/c/memory.max"));
  write("mount/a/b/c/memory.current", in_mib(1));
  write("mount/a/b/memory.max", in_mib(10));
  std::filesystem::create_directories(path("mount/a/b/memory.current"));
  group("/a", "99999999999999999999\n", 5);
  std::filesystem::create_directories(path("meminfo"));
  std::filesystem::create_directories(path("statm"));
  open();
  expect_none();
  limits_.refresh();
  expect_none();
  for (const char* text :
       {"", "x", "MemTotal: 10 kB\n", "MemAvailable: 10 kB\n",
        "MemTotal: 0 kB\nMemAvailable: 0 kB\n", "MemTotal: -5 kB\nMemAvailable: 1 kB\n"}) {
    remove("meminfo");
    write("meminfo", text);
    open();
    expect_none();
  }
}

TEST_F(MemoryLimitsTest, FileCacheIsTakenOffWhereItMatters) {
  write("cgroup", "0::/a\n");
  group("/a", in_mib(100), 59);
  write("mount/a/memory.stat", "anon 1\nfile 1\ninactive_file " + in_mib(20) + "active_file 9\n");
  open();
  MemoryReading reading = limits_.read(0);
  EXPECT_EQ(reading.used_bytes, 39 * kMiB) << "as refresh() saw it";
  EXPECT_EQ(reading.file_cache_bytes, 20 * kMiB);
  EXPECT_FALSE(reading.file_cache_is_fresh);
  write("mount/a/memory.stat", "inactive_file " + in_mib(30));
  expect(MemorySource::kGroupMax, 100, 39);
  write("mount/a/memory.current", in_mib(60));
  reading = limits_.read(0);
  EXPECT_EQ(reading.used_bytes, 30 * kMiB);
  EXPECT_TRUE(reading.file_cache_is_fresh);
  write("mount/a/memory.current", in_mib(20));
  expect(MemorySource::kGroupMax, 100, 0);
  EXPECT_EQ(limits_.read(0).file_cache_bytes, 20 * kMiB) << "not more than is used";
  for (const char* text : {"", "inactive_file\n", "inactive_file x\n", "total_inactive_file 5\n"}) {
    write("mount/a/memory.current", in_mib(60));
    write("mount/a/memory.stat", text);
    expect(MemorySource::kGroupMax, 100, 60);
  }
  remove("mount/a/memory.stat");
  open();
  expect(MemorySource::kGroupMax, 100, 60);
}

TEST_F(MemoryLimitsTest, FileCacheOfVersionOne) {
  write("cgroup", "4:memory:/a\n");
  group_v1("/a", in_mib(100), 90);
  write("mount/memory/a/memory.stat",
        std::string(1200, 'x') + " 0\ninactive_file 1\ntotal_inactive_file " + in_mib(20));
  open();
  expect(MemorySource::kGroupV1, 100, 70);
}

TEST_F(MemoryLimitsTest, LimitsOfNextToNothing) {
  write("cgroup", "0::/a\n");
  for (const char* limit : {"0\n", "1\n", "99\n", "4096\n"}) {
    group("/a", limit, 40);
    write("mount/a/memory.stat", "inactive_file " + in_mib(50));
    open();
    const MemoryReading reading = limits_.read(0);
    EXPECT_EQ(reading.source, MemorySource::kGroupMax);
    EXPECT_EQ(reading.limit_bytes, strtoull(limit, nullptr, 10));
    EXPECT_EQ(reading.used_bytes, 0U);
    EXPECT_EQ(reading.file_cache_bytes, 40 * kMiB);
  }
}

TEST_F(MemoryLimitsTest, TheSystemWhereItHasLessRoom) {
  write("cgroup", "0::/a\n");
  group("/a", in_mib(100), 40);
  system(1000, 60);
  open();
  expect(MemorySource::kGroupMax, 100, 40);
  system(1000, 59);
  expect(MemorySource::kSystem, 1000, 941);
  EXPECT_EQ(nearest_path(), "/a") << "the nearest of the groups";
  system(1000, 2000);
  expect(MemorySource::kGroupMax, 100, 40);
  write("meminfo", "MemTotal: 18446744073709551615 kB\nMemAvailable: 1 kB\n");
  expect(MemorySource::kGroupMax, 100, 40);
}

TEST_F(MemoryLimitsTest, LimitsOfTheProcess) {
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t pages_in_mib = kMiB / page;
  write("statm", std::to_string(300 * pages_in_mib) + " 9 9 9 0 " +
                     std::to_string(200 * pages_in_mib) + " 0\n");
  open();
  expect_none();
  const auto set = [](__rlimit_resource_t resource, rlim_t bytes) {
    const rlimit limit = {bytes, RLIM_INFINITY};
    ASSERT_EQ(setrlimit(resource, &limit), 0);
  };
  // A sanitizer maps much more than a program.
  constexpr uint64_t kFarMib = uint64_t{1} << 30;
  const int status = in_child([&] {
    set(RLIMIT_AS, kFarMib * kMiB);
    expect(MemorySource::kRlimitAs, kFarMib, 300);
    set(RLIMIT_DATA, (kFarMib - 1000) * kMiB);
    expect(MemorySource::kRlimitData, kFarMib - 1000, 200);
    write("statm", std::to_string(3000 * pages_in_mib) + " 9 9 9 0 1 0\n");
    expect(MemorySource::kRlimitAs, kFarMib, 3000);
    write("statm", "1 2 3\n");
    expect_none();
    write("statm", "");
    expect_none();
  });
  EXPECT_EQ(status, 0);
}

// What counts_when_touched() says of them, by the kernel's own figures.
TEST_F(MemoryLimitsTest, OfTheProcessWhatIsMappedCountsTouchedOrNot) {
  if (access("/proc/self/statm", R_OK) != 0) GTEST_SKIP() << "no /proc here";
  process_ = "/proc/self/statm";
  open();
  constexpr uint64_t kBytes = 64 * kMiB;
  for (const auto& [resource, source] : {std::pair(RLIMIT_AS, MemorySource::kRlimitAs),
                                         std::pair(RLIMIT_DATA, MemorySource::kRlimitData)}) {
    EXPECT_FALSE(counts_when_touched(source));
    const int status = in_child([&, resource = resource, source = source] {
      limits_.after_fork_in_child();
      const rlimit limit = {uint64_t{1} << 60, RLIM_INFINITY};
      ASSERT_EQ(setrlimit(resource, &limit), 0);
      const MemoryReading before = limits_.read(0);
      EXPECT_EQ(before.source, source);
      void* const block =
          mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      ASSERT_NE(block, MAP_FAILED);
      const MemoryReading mapped = limits_.read(0);
      EXPECT_EQ(mapped.used_bytes - before.used_bytes, kBytes);
      memset(block, 1, kBytes);
      EXPECT_EQ(limits_.read(0).used_bytes, mapped.used_bytes);
    });
    EXPECT_EQ(status, 0);
  }
}

TEST_F(MemoryLimitsTest, TheOptionIsOneOfThem) {
  write("cgroup", "0::/a\n");
  group("/a", in_mib(100), 40);
  open(80 * kMiB);
  expect(MemorySource::kOption, 80, 30, 30 * kMiB);
  expect(MemorySource::kGroupMax, 100, 40, 10 * kMiB);
}

TEST_F(MemoryLimitsTest, WhatWasGrantedIsExpectedWhereATouchCounts) {
  constexpr uint64_t kGranted = 30 * kMiB;
  write("cgroup", "0::/a\n");
  group("/a", in_mib(100), 40);
  open();
  MemoryReading reading = limits_.read(0, kGranted);
  EXPECT_EQ(reading.source, MemorySource::kGroupMax);
  EXPECT_EQ(reading.used_bytes, 40 * kMiB);
  EXPECT_EQ(reading.expected_bytes(), 70 * kMiB);
  EXPECT_EQ(limits_.read(0).expected_bytes(), 40 * kMiB);
  EXPECT_EQ(limits_.read(0, 100 * kMiB).expected_bytes(), 140 * kMiB) << "that might be touched";
  EXPECT_EQ(limits_.read(0, 100 * kMiB + 1).expected_bytes(), 40 * kMiB) << "that cannot";
  system(1000, 50);
  open();
  reading = limits_.read(0, kGranted);
  EXPECT_EQ(reading.source, MemorySource::kSystem);
  EXPECT_EQ(reading.expected_bytes(), 980 * kMiB);
  open(20 * kMiB);
  reading = limits_.read(10 * kMiB, 5 * kMiB);
  EXPECT_EQ(reading.source, MemorySource::kOption);
  EXPECT_EQ(reading.expected_bytes(), 10 * kMiB) << "it is in the number";
}

// The group has more room yet than the option, which has counted what was granted.
TEST_F(MemoryLimitsTest, TheNearestIsTheOneThatWillBe) {
  write("cgroup", "0::/a\n");
  group("/a", in_mib(1000), 550);
  open(1200 * kMiB);
  expect(MemorySource::kOption, 1200, 800, 800 * kMiB);
  const MemoryReading reading = limits_.read(800 * kMiB, 300 * kMiB);
  EXPECT_EQ(reading.source, MemorySource::kGroupMax);
  EXPECT_EQ(reading.used_bytes, 550 * kMiB);
  EXPECT_EQ(reading.expected_bytes(), 850 * kMiB);
}

TEST_F(MemoryLimitsTest, OfMoreGroupsThanItKeepsTheNearest) {
  std::string folder;
  for (int i = 0; i < 20; ++i) folder += "/g";
  write("cgroup", "0::" + folder + "\n");
  // From the nearest to the farthest, in no order of the path; the farthest is looked at last.
  for (size_t i = 0; i < 20; ++i) {
    group(folder.substr(0, 2 * (20 - (3 * i + 2) % 20)), in_mib(50 + i), 10);
  }
  open();
  EXPECT_EQ(kept_descriptors().size(), 2 * 8U);
  for (size_t i = 0; i < 8; ++i) {
    const std::string nearest = folder.substr(0, 2 * (20 - (3 * i + 2) % 20));
    expect(MemorySource::kGroupMax, 50 + i, 10);
    EXPECT_EQ(nearest_path(), nearest);
    write("mount" + nearest + "/memory.max", "max\n");
  }
  expect_none();
}

TEST_F(MemoryLimitsTest, OfAPathThatIsTooLongTheUpperPart) {
  std::string folder = "/a";
  for (int i = 0; i < 100; ++i) folder += "/abcdefghi";
  write("cgroup", "0::" + folder + "\n");
  group("/a", in_mib(50), 10);
  std::filesystem::create_directories(path("mount" + folder));
  open();
  expect(MemorySource::kGroupMax, 50, 10);
}

}  // namespace
}  // namespace elasticpool
