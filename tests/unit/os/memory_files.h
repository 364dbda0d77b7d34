// Sources of os/memory_limits.h that a test writes, and the class that reads them.
#pragma once

#include "os/fake_files.h"
#include "os/memory_limits.h"

namespace elasticpool::test {

inline constexpr uint64_t kMiB = 1 << 20;

inline std::string in_mib(uint64_t mib) { return std::to_string(mib * kMiB) + "\n"; }

class MemoryFilesTest : public FakeFiles {
 protected:
  void SetUp() override {
    FakeFiles::SetUp();
    groups_ = path("cgroup");
    mount_ = path("mount");
    system_ = path("meminfo");
    process_ = path("statm");
  }
  void TearDown() override {
    limits_.close_sources();
    EXPECT_EQ(kept_descriptors(), std::set<int>{}) << "left open";
    FakeFiles::TearDown();
  }

  MemoryFiles files() const {
    return {groups_.c_str(), mount_.c_str(), system_.c_str(), process_.c_str()};
  }
  void open(uint64_t option_limit_bytes = kUnlimitedBytes) {
    limits_.open_sources(files(), option_limit_bytes);
  }
  // A group of version 2.
  void group(const std::string& folder, const std::string& max, uint64_t used_mib) const {
    write("mount" + folder + "/memory.max", max);
    write("mount" + folder + "/memory.high", "max\n");
    write("mount" + folder + "/memory.current", in_mib(used_mib));
  }
  void group_v1(const std::string& folder, const std::string& limit, uint64_t used_mib) const {
    write("mount/memory" + folder + "/memory.limit_in_bytes", limit);
    write("mount/memory" + folder + "/memory.usage_in_bytes", in_mib(used_mib));
  }
  void system(uint64_t total_mib, uint64_t available_mib) const {
    write("meminfo", "MemTotal:       " + std::to_string(total_mib * 1024) +
                         " kB\nMemFree:        1 kB\nMemAvailable:   " +
                         std::to_string(available_mib * 1024) + " kB\nBuffers:  7 kB\n");
  }
  void expect(MemorySource source, uint64_t limit_mib, uint64_t used_mib, uint64_t heap_bytes = 0) {
    const MemoryReading reading = limits_.read(heap_bytes);
    EXPECT_EQ(reading.source, source);
    EXPECT_EQ(reading.limit_bytes, limit_mib * kMiB);
    EXPECT_EQ(reading.used_bytes, used_mib * kMiB);
  }
  void expect_none() { EXPECT_EQ(limits_.read(kMiB).source, MemorySource::kNone); }
  std::string nearest_path() {
    ControlGroup found;
    return limits_.nearest_group(&found) ? std::string(found.path, found.path_bytes) : "none";
  }

  std::string groups_;
  std::string mount_;
  std::string system_;
  std::string process_;
  MemoryLimits limits_;
};

}  // namespace elasticpool::test
