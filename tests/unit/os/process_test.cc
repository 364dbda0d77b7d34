// os/process.h: what the kernel says, and 0 where it says nothing.
#include "os/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include "base/units.h"
#include "os/vm.h"

namespace elasticpool {
namespace {

constexpr size_t kTouchedBytes = 16 * kMiB;

class Touched {
 public:
  Touched() : memory_(vm().map_anywhere(kTouchedBytes)) {
    if (memory_ != nullptr) memset(memory_, 1, kTouchedBytes);
  }
  ~Touched() { munmap(memory_, kTouchedBytes); }
  Touched(const Touched&) = delete;
  Touched& operator=(const Touched&) = delete;
  bool is_there() const { return memory_ != nullptr; }

 private:
  void* memory_;
};

TEST(Process, PageFaultsGrow) {
  const PageFaults before = page_faults();
  const Touched touched;
  ASSERT_TRUE(touched.is_there());
  const PageFaults after = page_faults();
  // One for each huge page at least.
  EXPECT_GE(after.minor + after.major, before.minor + before.major + kTouchedBytes / kFrameBytes);
}

TEST(Process, ResidencyFollowsWhatIsTouched) {
  const Residency before = residency();
  if (before.mapped_bytes == 0) GTEST_SKIP() << "no /proc/self/statm here";
  const Touched touched;
  ASSERT_TRUE(touched.is_there());
  const Residency after = residency();
  EXPECT_GT(before.resident_bytes, 0U);
  EXPECT_LE(after.resident_bytes, after.mapped_bytes);
  EXPECT_LE(after.resident_bytes, after.peak_resident_bytes);
  // The kernel's own counters lag by some pages a CPU.
  EXPECT_GE(after.resident_bytes, before.resident_bytes + kTouchedBytes / 2);
  EXPECT_GE(after.mapped_bytes, before.mapped_bytes + kTouchedBytes / 2);
}

TEST(Process, Numbers) {
  EXPECT_EQ(process_id(), getpid());
  EXPECT_EQ(thread_id(), gettid());
  int other = 0;
  std::thread([&] { other = thread_id(); }).join();
  EXPECT_NE(other, thread_id());
  EXPECT_GT(other, 0);
  EXPECT_FALSE(is_secure_process());
}

TEST(ReadSmallFile, CutsAndTerminates) {
  char path[] = "/tmp/ep_process_XXXXXX";
  const int fd = mkstemp(path);
  ASSERT_GE(fd, 0);
  close(fd);
  const std::string text = "0123456789";
  std::ofstream(path) << text;
  for (size_t capacity = 1; capacity <= text.size() + 2; ++capacity) {
    char buffer[16];
    memset(buffer, '#', sizeof buffer);
    const size_t length = read_small_file(path, buffer, capacity);
    EXPECT_EQ(length, std::min(capacity - 1, text.size()));
    EXPECT_EQ(std::string(buffer), text.substr(0, length));
    EXPECT_EQ(buffer[capacity], '#');
  }
  unlink(path);
}

TEST(ReadSmallFile, MissingIsNothing) {
  char buffer[8] = "before";
  errno = 0;
  EXPECT_EQ(read_small_file("/no/such/file", buffer, sizeof buffer), 0U);
  EXPECT_EQ(read_small_file("/", buffer, sizeof buffer), 0U);
  EXPECT_EQ(errno, 0);
}

TEST(ReadSmallFile, NoRoomNothingWritten) {
  char byte = '#';
  EXPECT_EQ(read_small_file("/proc/self/statm", &byte, 0), 0U);
  EXPECT_EQ(byte, '#');
}

TEST(ReadSmallFile, KeepsNoDescriptor) {
  const int next = dup(STDERR_FILENO);
  close(next);
  char buffer[8];
  for (const size_t capacity : {size_t{0}, sizeof buffer}) {
    read_small_file("/proc/self/statm", buffer, capacity);
    EXPECT_EQ(fcntl(next, F_GETFD), -1) << "capacity " << capacity;
  }
}

}  // namespace
}  // namespace elasticpool
