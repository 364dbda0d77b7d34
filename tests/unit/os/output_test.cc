// os/output.h: our words reach standard error while it is the file that it was, and nothing else.
#include "os/output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

namespace elasticpool {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Puts standard error aside, so that a test may point descriptor 2 at files of its own.
class OutputTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/ep_output_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    saved_ = dup(STDERR_FILENO);
    ASSERT_GE(saved_, 0);
  }
  void TearDown() override {
    dup2(saved_, STDERR_FILENO);
    close(saved_);
    for (const char* name : {"/ours", "/theirs"}) unlink((folder_ + name).c_str());
    rmdir(folder_.c_str());
  }

  std::string path(const char* name) const { return folder_ + "/" + name; }

  void point_stderr_at(const char* name) const {
    const int fd = open(path(name).c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    close(fd);
  }

 private:
  std::string folder_;
  int saved_ = -1;
};

TEST_F(OutputTest, WritesToTheFileItKnows) {
  point_stderr_at("ours");
  output_boot();
  write_stderr("one ", 4);
  write_stderr("two and more", 3);
  EXPECT_EQ(contents(path("ours")), "one two");
}

TEST_F(OutputTest, NeverToAnotherFile) {
  point_stderr_at("ours");
  output_boot();
  point_stderr_at("theirs");
  write_stderr("lost", 4);
  EXPECT_EQ(contents(path("theirs")), "");
  EXPECT_EQ(contents(path("ours")), "");
  // The same file, opened again, is ours.
  point_stderr_at("ours");
  write_stderr("seen", 4);
  EXPECT_EQ(contents(path("ours")), "seen");
}

TEST_F(OutputTest, ClosedAtBootIsNobodys) {
  close(STDERR_FILENO);
  output_boot();
  point_stderr_at("theirs");
  errno = 0;
  write_stderr("lost", 4);
  EXPECT_EQ(errno, 0);
  EXPECT_EQ(contents(path("theirs")), "");
}

TEST_F(OutputTest, ClosedLaterIsSilent) {
  point_stderr_at("ours");
  output_boot();
  close(STDERR_FILENO);
  errno = 0;
  write_stderr("lost", 4);
  EXPECT_EQ(errno, 0);
  EXPECT_EQ(contents(path("ours")), "");
}

TEST_F(OutputTest, FileIsCreatedAndTruncated) {
  std::ofstream(path("ours")) << "what was there before, and longer";
  {
    const OutputFile file(path("ours").c_str());
    ASSERT_TRUE(file.is_open());
    EXPECT_TRUE(file.write("all of ", 7));
    EXPECT_TRUE(file.write("it", 2));
    EXPECT_TRUE(file.write("", 0));
  }
  EXPECT_EQ(contents(path("ours")), "all of it");
}

TEST_F(OutputTest, FileThatCannotBeOpened) {
  errno = 0;
  const OutputFile file(path("no/such/folder").c_str());
  EXPECT_FALSE(file.is_open());
  EXPECT_FALSE(file.write("x", 1));
  EXPECT_EQ(errno, 0);
}

TEST_F(OutputTest, FileThatIsFull) {
  const OutputFile file("/dev/full");
  if (!file.is_open()) GTEST_SKIP() << "no /dev/full here";
  EXPECT_FALSE(file.write("x", 1));
}

TEST_F(OutputTest, FileIsClosedAndNotInherited) {
  const int next = dup(STDERR_FILENO);
  close(next);
  {
    const OutputFile file(path("ours").c_str());
    EXPECT_EQ(fcntl(next, F_GETFD), FD_CLOEXEC);
  }
  EXPECT_EQ(fcntl(next, F_GETFD), -1);
}

// A program whose reader has gone must not die of what we say.
TEST_F(OutputTest, NobodyReads) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
  close(ends[0]);
  close(ends[1]);
  ASSERT_NE(signal(SIGPIPE, SIG_DFL), SIG_ERR);
  output_boot();
  write_stderr("lost\n", 5);
  sigset_t pending;
  ASSERT_EQ(sigpending(&pending), 0);
  EXPECT_FALSE(sigismember(&pending, SIGPIPE));
  sigset_t blocked;
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, nullptr, &blocked), 0);
  EXPECT_FALSE(sigismember(&blocked, SIGPIPE));
}

}  // namespace
}  // namespace elasticpool
