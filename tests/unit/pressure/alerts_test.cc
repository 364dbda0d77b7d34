// pressure/alerts.h: who is told of a change of the level, in which words, and how often.
#include "pressure/alerts.h"

#include <fstream>
#include <iterator>

#include "base/annotations.h"
#include "base/units.h"
#include "os/fake_files.h"
#include "os/output.h"

extern char** environ;

namespace elasticpool {
namespace {

constexpr uint64_t kMinuteMs = 60'000;

MemoryReading reading(uint64_t used_mib, uint64_t limit_mib, MemorySource source) {
  MemoryReading result;
  result.source = source;
  result.used_bytes = used_mib * kMiB;
  result.limit_bytes = limit_mib * kMiB;
  return result;
}

std::string line(const char* rest) {
  return "elasticpool: process " + std::to_string(getpid()) + ": memory pressure " + rest;
}

class AlertsTest : public test::FakeFiles {
 protected:
  void SetUp() override {
    FakeFiles::SetUp();
    target_ = path("alerts");
  }
  void TearDown() override {
    set_alert_target("", nullptr);
    FakeFiles::TearDown();
  }

  void set_target(const std::string& target) {
    target_ = target;
    set_alert_target(target_.c_str(), &environ);
  }
  static void alert(PressureLevel level, uint64_t now_ms) {
    alert_level(level, reading(75, 100, MemorySource::kOption), now_ms);
  }
  static std::string contents(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string target_;
};

TEST_F(AlertsTest, LevelsAndSourcesHaveNames) {
  const char* const levels[] = {"none", "warning", "high", "critical", "emergency"};
  for (size_t i = 0; i < kPressureLevels; ++i) {
    EXPECT_STREQ(name_of(static_cast<PressureLevel>(i)), levels[i]);
  }
  EXPECT_STREQ(name_of(MemorySource::kNone), "none");
  EXPECT_STREQ(name_of(MemorySource::kGroupMax), "memory.max");
  EXPECT_STREQ(name_of(MemorySource::kGroupHigh), "memory.high");
  EXPECT_STREQ(name_of(MemorySource::kGroupV1), "cgroup v1");
  EXPECT_STREQ(name_of(MemorySource::kSystem), "system");
  EXPECT_STREQ(name_of(MemorySource::kRlimitAs), "RLIMIT_AS");
  EXPECT_STREQ(name_of(MemorySource::kRlimitData), "RLIMIT_DATA");
  EXPECT_STREQ(name_of(MemorySource::kOption), "MEMPOOL_LIMIT");
}

TEST_F(AlertsTest, AFileGetsALine) {
  set_target(path("alerts"));
  EXPECT_EQ(alerts_told(), 0U);
  alert_level(PressureLevel::kHigh, reading(1234, 1500, MemorySource::kGroupMax), 5);
  EXPECT_EQ(contents(path("alerts")), line("high: 1234 MiB of 1500 MiB are used (memory.max)\n"));
  EXPECT_EQ(alerts_told(), 1U);
  MemoryReading largest = reading(0, 0, MemorySource::kRlimitData);
  largest.used_bytes = UINT64_MAX;
  largest.limit_bytes = UINT64_MAX;
  remove("alerts");
  alert_level(PressureLevel::kEmergency, largest, 5 + kMinuteMs);
  EXPECT_EQ(contents(path("alerts")), line("emergency: 17592186044415 MiB of 17592186044415 MiB "
                                           "are used (RLIMIT_DATA)\n"));
}

TEST_F(AlertsTest, OnceAMinuteAtMost) {
  set_target(path("alerts"));
  const std::string warning = line("warning: 75 MiB of 100 MiB are used (MEMPOOL_LIMIT)\n");
  const std::string none = line("none: 75 MiB of 100 MiB are used (MEMPOOL_LIMIT)\n");
  alert(PressureLevel::kWarning, 0);
  alert(PressureLevel::kHigh, 1);
  alert(PressureLevel::kCritical, kMinuteMs - 1);
  EXPECT_EQ(contents(path("alerts")), warning);
  alert(PressureLevel::kNone, kMinuteMs);
  EXPECT_EQ(contents(path("alerts")), warning + none);
  alert(PressureLevel::kHigh, 2 * kMinuteMs - 1);
  EXPECT_EQ(contents(path("alerts")), warning + none) << "a minute after the last one";
  alert(PressureLevel::kWarning, 2 * kMinuteMs);
  EXPECT_EQ(contents(path("alerts")), warning + none + warning);
  EXPECT_EQ(alerts_told(), 3U);
}

TEST_F(AlertsTest, WhatCouldNotBeToldDoesNotCount) {
  set_target(path("no/such/folder"));
  alert(PressureLevel::kWarning, 10);
  EXPECT_EQ(alerts_told(), 0U);
  std::filesystem::create_directories(path("no/such"));
  alert(PressureLevel::kHigh, 11);
  EXPECT_EQ(alerts_told(), 1U);
  EXPECT_EQ(contents(path("no/such/folder")),
            line("high: 75 MiB of 100 MiB are used (MEMPOOL_LIMIT)\n"));
}

TEST_F(AlertsTest, OffIsNoFile) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(path(""));
  for (const char* target : {"off", ""}) {
    set_target(target);
    alert(PressureLevel::kEmergency, 10);
    EXPECT_EQ(alerts_told(), 0U);
  }
  EXPECT_TRUE(std::filesystem::is_empty(path("")));
  std::filesystem::current_path(before);
}

TEST_F(AlertsTest, StandardErrorGetsALine) {
  const int status = test::in_child([&] {
    const int file = open(path("stderr").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    EXPECT_EQ(dup2(file, STDERR_FILENO), STDERR_FILENO);
    output_boot();
    set_target("stderr");
    alert(PressureLevel::kCritical, 10);
    EXPECT_EQ(contents(path("stderr")),
              line("critical: 75 MiB of 100 MiB are used (MEMPOOL_LIMIT)\n"));
  });
  EXPECT_EQ(status, 0);
}

TEST_F(AlertsTest, WithoutASystemLogNobodyIsTold) {
  if (access("/dev/log", F_OK) == 0) GTEST_SKIP() << "there is one here";
  set_target("syslog");
  alert(PressureLevel::kHigh, 10);
  EXPECT_EQ(alerts_told(), 0U);
}

// The line as its argument, without the newline, and not the variable: what the command starts
// would run commands, too.
TEST_F(AlertsTest, ACommandGetsTheLine) {
  if (EP_THREAD_SANITIZER) GTEST_SKIP() << "it knows no process that shares our memory";
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  ASSERT_EQ(setenv("MEMPOOL_ALERT", "exec:something", 1), 0);
  ASSERT_EQ(setenv("MEMPOOL_STATS", "kept", 1), 0);
  set_target("exec:printf '%s|%s|%s' \"$1\" \"${MEMPOOL_ALERT-gone}\" \"$MEMPOOL_STATS\" > " +
             path("fifo"));
  alert(PressureLevel::kEmergency, 10);
  EXPECT_EQ(alerts_told(), 1U);
  EXPECT_EQ(contents(path("fifo")),
            line("emergency: 75 MiB of 100 MiB are used (MEMPOOL_LIMIT)|gone|kept"));
  unsetenv("MEMPOOL_ALERT");
  unsetenv("MEMPOOL_STATS");
}

}  // namespace
}  // namespace elasticpool
