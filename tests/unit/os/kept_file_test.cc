// os/kept_file.h: a descriptor is used while it is ours, and left alone when it is the program's.
#include "os/kept_file.h"

#include <sys/resource.h>

#include <cerrno>

#include "os/fake_files.h"
#include "os/syscall.h"

namespace elasticpool {
namespace {

using test::in_child;
using test::kept_descriptors;
using test::open_descriptors;

class KeptFiles : public test::FakeFiles {
 protected:
  void TearDown() override {
    file_.close();
    FakeFiles::TearDown();
  }
  std::string text() {
    char bytes[32];
    const long count = file_.read(bytes, sizeof bytes);
    return failed(count) ? "error " + std::to_string(-count) : bytes;
  }

  KeptFile file_;
};

const std::string kBadDescriptor = "error " + std::to_string(EBADF);

TEST_F(KeptFiles, ReadsWhatIsThereNow) {
  write("a", "first");
  const std::set<int> before = open_descriptors();
  ASSERT_EQ(file_.open(path("a").c_str(), O_RDONLY), 0);
  EXPECT_EQ(text(), "first");
  write("a", "second, longer");
  EXPECT_EQ(text(), "second, longer");
  EXPECT_EQ(text(), "second, longer") << "from its start each time";
  char few[4];
  EXPECT_EQ(file_.read(few, sizeof few), 3);
  EXPECT_STREQ(few, "sec");
  std::set<int> after = open_descriptors();
  for (const int fd : before) after.erase(fd);
  ASSERT_EQ(after.size(), 1U);
  EXPECT_GE(*after.begin(), KeptFile::kLeastDescriptor);
  EXPECT_EQ(fcntl(*after.begin(), F_GETFD), FD_CLOEXEC);
  file_.close();
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(text(), kBadDescriptor);
}

TEST_F(KeptFiles, LeavesErrnoAlone) {
  errno = 0;
  EXPECT_EQ(file_.open(path("none").c_str(), O_RDONLY), -ENOENT);
  EXPECT_FALSE(file_.is_open());
  EXPECT_EQ(text(), kBadDescriptor);
  EXPECT_EQ(errno, 0);
  std::filesystem::create_directories(path("folder"));
  errno = 0;
  ASSERT_EQ(file_.open(path("folder").c_str(), O_RDONLY), 0);
  EXPECT_EQ(text(), "error " + std::to_string(EISDIR));
  EXPECT_EQ(errno, 0);
}

TEST_F(KeptFiles, ClosedByTheProgram) {
  write("a", "ours");
  ASSERT_EQ(file_.open(path("a").c_str(), O_RDONLY), 0);
  ::close(static_cast<int>(file_.verified()));
  EXPECT_TRUE(file_.is_open()) << "not known yet";
  EXPECT_EQ(text(), kBadDescriptor);
  EXPECT_FALSE(file_.is_open());
}

TEST_F(KeptFiles, NumberTakenByTheProgram) {
  write("a", "ours");
  write("b", "theirs");
  for (const bool reads : {true, false}) {
    ASSERT_EQ(file_.open(path("a").c_str(), O_RDONLY), 0);
    const int number = static_cast<int>(file_.verified());
    const int other = ::open(path("b").c_str(), O_RDONLY);
    ASSERT_EQ(dup2(other, number), number);
    ::close(other);
    if (reads) {
      EXPECT_EQ(text(), kBadDescriptor);
    } else {
      file_.close();
    }
    EXPECT_FALSE(file_.is_open());
    char bytes[8] = {};
    EXPECT_EQ(::read(number, bytes, sizeof bytes), 6) << "still the program's, from its start";
    EXPECT_STREQ(bytes, "theirs");
    ::close(number);
  }
}

TEST_F(KeptFiles, OpenedAgainClosesWhatWas) {
  write("a", "a");
  write("b", "b");
  const size_t before = kept_descriptors().size();
  ASSERT_EQ(file_.open(path("a").c_str(), O_RDONLY), 0);
  ASSERT_EQ(file_.open(path("b").c_str(), O_RDONLY), 0);
  EXPECT_EQ(kept_descriptors().size(), before + 1);
  EXPECT_EQ(text(), "b");
  ASSERT_NE(file_.open(path("none").c_str(), O_RDONLY), 0);
  EXPECT_EQ(kept_descriptors().size(), before);
}

TEST_F(KeptFiles, AdoptedMovesUp) {
  write("a", "a");
  const int low = ::open(path("a").c_str(), O_RDONLY);
  ASSERT_GE(low, 0);
  ASSERT_EQ(file_.adopt(low), 0);
  EXPECT_EQ(fcntl(low, F_GETFD), -1);
  EXPECT_GE(file_.verified(), KeptFile::kLeastDescriptor);
}

// The limit leaves no high number, or none at all.
TEST_F(KeptFiles, FewDescriptors) {
  write("a", "a");
  for (const rlim_t most : {3U, 64U, 900U}) {
    const int status = in_child([&] {
      const rlimit limit = {most, most};
      EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
      const long result = file_.open(path("a").c_str(), O_RDONLY);
      EXPECT_EQ(result, most == 3 ? -EMFILE : -EINVAL);
      EXPECT_FALSE(file_.is_open());
      const rlimit one_more = {901, 901};
      if (geteuid() == 0 && setrlimit(RLIMIT_NOFILE, &one_more) == 0) {
        EXPECT_EQ(file_.open(path("a").c_str(), O_RDONLY), 0);
        EXPECT_EQ(file_.verified(), 900);
      }
    });
    EXPECT_EQ(status, 0) << most;
  }
}

TEST(KeptFile, WhatOnlyAFilterSays) {
  for (const long error : {EPERM, EACCES, ENOSYS}) EXPECT_TRUE(is_forbidden(-error));
  for (const long result : {0, 1, 900, -EBADF, -ENOENT, -ENODEV, -EMFILE}) {
    EXPECT_FALSE(is_forbidden(result));
  }
}

}  // namespace
}  // namespace elasticpool
