// os/memory_limits.h when something breaks under it: descriptors closed, limits of open files,
// another root, a fork, a sandbox; and groups of this machine.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <iterator>

#include "os/memory_files.h"

namespace elasticpool {
namespace {

using test::in_child;
using test::in_mib;
using test::kept_descriptors;
using test::kMiB;
using test::open_descriptors;
using MemoryLimitsFault = test::MemoryFilesTest;

TEST_F(MemoryLimitsFault, ClosedByTheProgram) {
  write("cgroup", "0::/a\n");
  group("/a", in_mib(100), 40);
  write("mount/a/memory.high", in_mib(200));
  write("mount/a/memory.stat", "inactive_file " + in_mib(1));
  system(1000, 500);
  const size_t kept_count = 5;  // max, high, current, stat, meminfo
  for (const bool is_asked : {false, true}) {
    // Each set of them, as bits.
    for (size_t closed = 0; closed < size_t{1} << kept_count; ++closed) {
      open();  // always the same numbers
      const std::set<int> kept = kept_descriptors();
      ASSERT_EQ(kept.size(), kept_count);
      size_t bit = 1;
      for (const int fd : kept) {
        if ((closed & bit) != 0) close(fd);
        bit <<= 1;
      }
      if (is_asked) {
        limits_.refresh();
        EXPECT_EQ(kept_descriptors().size(), kept_count);
      }
      write("mount/a/memory.current", in_mib(70));
      expect(MemorySource::kGroupMax, 100, 69);
      system(1000, 10);
      expect(MemorySource::kSystem, 1000, 990);
      system(1000, 500);
      write("mount/a/memory.current", in_mib(40));
      expect(MemorySource::kGroupMax, 100, 39);
    }
  }
}

TEST_F(MemoryLimitsFault, NumbersTakenByTheProgram) {
  write("cgroup", "0::/a\n");
  group("/a", in_mib(100), 40);
  write("theirs", "77777\n");
  open();
  const std::set<int> ours = kept_descriptors();
  ASSERT_EQ(ours.size(), 2U);
  const int file = ::open(path("theirs").c_str(), O_RDWR);
  for (const int fd : ours) ASSERT_EQ(dup2(file, fd), fd);
  expect(MemorySource::kGroupMax, 100, 40);
  limits_.close_sources();
  EXPECT_EQ(kept_descriptors(), ours) << "not ours to close";
  for (const int fd : ours) {
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 0);
    close(fd);
  }
  close(file);
}

TEST_F(MemoryLimitsFault, FewDescriptors) {
  write("cgroup", "0::/a\n");
  group("/a", in_mib(100), 90);
  write("mount/a/memory.stat", "inactive_file " + in_mib(5));
  system(1000, 500);
  write("statm", "1 1 1 1 0 1 0\n");
  for (const rlim_t most : {64U, 3U}) {
    const int status = in_child([&] {
      const rlimit limit = {most, most};
      EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
      const std::set<int> before = open_descriptors();
      open(7 * kMiB);
      if (most == 3) {
        expect(MemorySource::kOption, 7, 1, kMiB);
        return;
      }
      expect(MemorySource::kOption, 7, 1, kMiB);
      expect(MemorySource::kOption, 7, 0);
      open();
      expect(MemorySource::kGroupMax, 100, 85);
      write("mount/a/memory.current", in_mib(95));
      expect(MemorySource::kGroupMax, 100, 90);
      remove("mount/a/memory.stat");
      expect(MemorySource::kGroupMax, 100, 95);
      system(1000, 1);
      expect(MemorySource::kSystem, 1000, 999);
      remove("mount/a");
      remove("meminfo");
      expect_none();
      EXPECT_EQ(open_descriptors(), before) << "nothing is kept";
    });
    EXPECT_EQ(status, 0) << most;
    write("mount/a/memory.current", in_mib(90));
  }
}

TEST_F(MemoryLimitsFault, WhatWasOpenedServesInAnotherRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "chroot is for root";
  write("cgroup", "0::/a\n");
  group("/a", in_mib(100'000), 40);
  system(200'000, 199'000);
  write("statm", "300 1 1 1 0 1 0\n");
  open();
  write("empty/folder", "");
  const int max = ::open(path("mount/a/memory.max").c_str(), O_WRONLY | O_CLOEXEC);
  const int status = in_child([&] {
    if (chroot(path("empty").c_str()) != 0) _exit(77);
    expect(MemorySource::kGroupMax, 100'000, 40);
    limits_.refresh();
    EXPECT_EQ(pwrite(max, "max\n        ", 12, 0), 12);
    expect(MemorySource::kSystem, 200'000, 1000);
    EXPECT_EQ(pwrite(max, "104857600000", 12, 0), 12);
    expect(MemorySource::kGroupMax, 100'000, 40);
    // The process is another: its figures could not be opened.
    const rlimit limit = {50'000 * kMiB, RLIM_INFINITY};
    EXPECT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    EXPECT_EQ(limits_.read(0).source, MemorySource::kRlimitAs);
    limits_.after_fork_in_child();
    expect(MemorySource::kGroupMax, 100'000, 40);
  });
  close(max);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "chroot is refused here";
  EXPECT_EQ(status, 0);
}

// The child's own figures, not those of who has opened the files.
TEST_F(MemoryLimitsFault, AfterForkTheChildIsLookedAt) {
  if (access("/proc/self/statm", R_OK) != 0) GTEST_SKIP() << "no /proc here";
  process_ = "/proc/self/statm";
  open();
  const int status = in_child([&] {
    limits_.after_fork_in_child();
    constexpr uint64_t kMapped = 5000 * kMiB;
    void* const mapped = mmap(nullptr, kMapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(mapped, MAP_FAILED);
    const rlimit limit = {uint64_t{1} << 60, RLIM_INFINITY};
    EXPECT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    const MemoryReading reading = limits_.read(0);
    EXPECT_EQ(reading.source, MemorySource::kRlimitAs);
    EXPECT_GE(reading.used_bytes, kMapped);
    const rlimit none = {0, 0};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    EXPECT_EQ(limits_.read(0).source, MemorySource::kRlimitAs) << "opened once";
  });
  EXPECT_EQ(status, 0);
}

// A filter that refuses fstat kills for the other calls: none is tried.
TEST_F(MemoryLimitsFault, InASandboxOnlyTheOption) {
  write("cgroup", "0::/a\n");
  group("/a", in_mib(100), 40);
  system(1000, 500);
  write("statm", "1 1 1 1 0 1 0\n");
  for (const char* without : {"nothing", "cgroup", "meminfo"}) {
    remove(without);
    open(70 * kMiB);
    const int status = in_child([&] {
      sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                              BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fstat, 3, 0),
                              BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 3, 0),
                              BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pread64, 2, 0),
                              BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prlimit64, 1, 2),
                              BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
                              BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                              BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
      const sock_fprog program = {static_cast<unsigned short>(std::size(filter)), filter};
      if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
          prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        _exit(77);
      }
      for (int i = 0; i < 3; ++i) {
        if (limits_.read(5 * kMiB).source != MemorySource::kOption) _exit(2);
        limits_.refresh();
        limits_.after_fork_in_child();
      }
      _exit(limits_.read(7).used_bytes == 7 ? 0 : 3);
    });
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "no filter allowed here";
    EXPECT_EQ(status, 0) << without;
  }
}

// A real group of version 1, with what only the kernel does: it is removed under our descriptors.
class RealGroup {
 public:
  explicit RealGroup(const char* name)
      : folder_("/sys/fs/cgroup/memory/elasticpool-test-" + std::to_string(getpid()) + name) {
    exists_ = mkdir(folder_.c_str(), 0700) == 0;
  }
  ~RealGroup() { remove(); }
  RealGroup(const RealGroup&) = delete;
  RealGroup& operator=(const RealGroup&) = delete;

  bool exists() const { return exists_; }
  bool remove() { return rmdir(folder_.c_str()) == 0; }
  bool write(const char* name, uint64_t value) const {
    const int fd = open((folder_ + "/" + name).c_str(), O_WRONLY | O_CLOEXEC);
    const std::string text = std::to_string(value);
    const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    close(fd);
    return written;
  }

 private:
  std::string folder_;
  bool exists_;
};

TEST(MemoryLimitsReal, MovedAndRemoved) {
  RealGroup first("-a");
  RealGroup second("-b");
  if (!first.exists() || !second.exists()) GTEST_SKIP() << "no version 1 groups to be made here";
  ASSERT_TRUE(first.write("memory.limit_in_bytes", 512 * kMiB));
  ASSERT_TRUE(second.write("memory.limit_in_bytes", 256 * kMiB));
  const int status = in_child([&] {
    const auto pid = static_cast<uint64_t>(getpid());
    EXPECT_TRUE(first.write("cgroup.procs", pid));
    MemoryLimits limits;
    limits.open_sources({}, kUnlimitedBytes);
    MemoryReading reading = limits.read(0);
    EXPECT_EQ(reading.source, MemorySource::kGroupV1);
    EXPECT_EQ(reading.limit_bytes, 512 * kMiB);
    EXPECT_LT(reading.used_bytes, 100 * kMiB);
    const size_t bytes = 330 * kMiB;
    void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    EXPECT_NE(memory, MAP_FAILED);
    reading = limits.read(0);
    EXPECT_GE(reading.used_bytes, bytes);
    EXPECT_TRUE(reading.file_cache_is_fresh) << "over 60 %";
    EXPECT_TRUE(first.write("memory.limit_in_bytes", 400 * kMiB));
    EXPECT_EQ(limits.read(0).limit_bytes, 400 * kMiB) << "lowered while it runs";
    munmap(memory, bytes);
    EXPECT_TRUE(second.write("cgroup.procs", pid));
    EXPECT_TRUE(first.remove());
    EXPECT_EQ(limits.read(0).limit_bytes, 256 * kMiB);
    limits.close_sources();
  });
  EXPECT_EQ(status, 0);
}

TEST(MemoryLimitsReal, ThisMachine) {
  if (access("/proc/meminfo", R_OK) != 0) GTEST_SKIP() << "no /proc here";
  MemoryLimits limits;
  limits.open_sources({}, kUnlimitedBytes);
  const MemoryReading reading = limits.read(0);
  EXPECT_NE(reading.source, MemorySource::kNone);
  EXPECT_GT(reading.used_bytes, 0U);
  limits.close_sources();
}

}  // namespace
}  // namespace elasticpool
