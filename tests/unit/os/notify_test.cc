// os/notify.h: what is told arrives, and the program notices nothing of it.
#include "os/notify.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <thread>

#include "os/fake_files.h"
#include "os/vm.h"

namespace elasticpool {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool append(const std::string& path, const std::string& text) {
  return append_to_file(path.c_str(), text.data(), text.size());
}

uint64_t blocked_signals() {
  sigset_t set;
  EXPECT_EQ(pthread_sigmask(SIG_BLOCK, nullptr, &set), 0);
  uint64_t bits = 0;
  for (int number = 1; number < 65; ++number) {
    bits |= static_cast<uint64_t>(sigismember(&set, number) == 1) << (number - 1);
  }
  return bits;
}

bool is_pending(int number) {
  sigset_t set;
  EXPECT_EQ(sigpending(&set), 0);
  return sigismember(&set, number) == 1;
}

// What a program could notice is as it was before.
class NotifyTest : public test::FakeFiles {
 protected:
  void SetUp() override {
    FakeFiles::SetUp();
    descriptors_ = test::open_descriptors();
    blocked_ = blocked_signals();
    errno = 77;
  }
  void TearDown() override {
    EXPECT_EQ(test::open_descriptors(), descriptors_);
    EXPECT_EQ(blocked_signals(), blocked_);
    FakeFiles::TearDown();
  }
  static void expect_errno_kept() {
    EXPECT_EQ(errno, 77);
    errno = 77;
  }

  std::string make_fifo() const {
    EXPECT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
    return path("fifo");
  }

 private:
  std::set<int> descriptors_;
  uint64_t blocked_ = 0;
};

TEST_F(NotifyTest, AppendsToAFileThatItMakes) {
  EXPECT_TRUE(append(path("new"), "one\n"));
  expect_errno_kept();
  EXPECT_EQ(contents(path("new")), "one\n");
  struct stat status {};
  ASSERT_EQ(stat(path("new").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07133, 0U) << "others may read at most, nobody execute";
  EXPECT_TRUE(append(path("new"), "two\n"));
  EXPECT_TRUE(append(path("new"), ""));
  EXPECT_EQ(contents(path("new")), "one\ntwo\n");
}

TEST_F(NotifyTest, AppendsBehindWhatIsThere) {
  write("old", "what was there\n");
  EXPECT_TRUE(append(path("old"), "new\n"));
  EXPECT_EQ(contents(path("old")), "what was there\nnew\n");
}

TEST_F(NotifyTest, NoSuchPlace) {
  errno = 77;
  EXPECT_FALSE(append(path("no/such/folder"), "lost"));
  EXPECT_FALSE(append(path(""), "lost")) << "a folder";
  EXPECT_FALSE(append("", "lost"));
  if (access("/dev/full", W_OK) == 0) {
    errno = 77;
    EXPECT_FALSE(append("/dev/full", "lost"));
  }
  expect_errno_kept();
}

TEST_F(NotifyTest, AFifoThatSomebodyReads) {
  const std::string fifo = make_fifo();
  const int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  EXPECT_TRUE(append(fifo, "one\n"));
  EXPECT_TRUE(append(fifo, "two\n"));
  char text[16] = {};
  EXPECT_EQ(read(reader, text, sizeof text), 8);
  EXPECT_STREQ(text, "one\ntwo\n");
  close(reader);
}

TEST_F(NotifyTest, AFifoThatNobodyReadsOrThatIsFull) {
  const std::string fifo = make_fifo();
  errno = 77;
  EXPECT_FALSE(append(fifo, "lost"));
  expect_errno_kept();
  const int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK);
  const int writer = open(fifo.c_str(), O_WRONLY | O_NONBLOCK);
  ASSERT_GE(writer, 0);
  const std::string page(4096, 'x');
  while (::write(writer, page.data(), page.size()) > 0) {
  }
  int before = 0;
  int after = 0;
  ASSERT_EQ(ioctl(reader, FIONREAD, &before), 0);
  errno = 77;
  EXPECT_FALSE(append(fifo, "lost"));
  expect_errno_kept();
  ASSERT_EQ(ioctl(reader, FIONREAD, &after), 0);
  EXPECT_EQ(after, before);
  close(reader);
  close(writer);
}

// The reader goes after the file was opened: a pipe without one can be opened under its descriptor.
TEST_F(NotifyTest, AReaderThatGoesRaisesNoSignal) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  const std::string pipe = "/proc/self/fd/" + std::to_string(ends[1]);
  ASSERT_NE(signal(SIGPIPE, SIG_DFL), SIG_ERR);
  errno = 77;
  EXPECT_FALSE(append(pipe, "lost"));
  expect_errno_kept();
  EXPECT_FALSE(is_pending(SIGPIPE));
  // One that the program waits for stays.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &set, nullptr), 0);
  EXPECT_FALSE(append(pipe, "lost"));
  EXPECT_FALSE(is_pending(SIGPIPE));
  raise(SIGPIPE);
  EXPECT_FALSE(append(pipe, "lost"));
  EXPECT_TRUE(is_pending(SIGPIPE));
  const timespec now{};
  EXPECT_EQ(sigtimedwait(&set, nullptr, &now), SIGPIPE);
  ASSERT_EQ(pthread_sigmask(SIG_UNBLOCK, &set, nullptr), 0);
  close(ends[1]);
}

TEST_F(NotifyTest, WithoutASystemLog) {
  if (access("/dev/log", F_OK) == 0) GTEST_SKIP() << "there is one here";
  errno = 77;
  EXPECT_FALSE(send_to_system_log("lost", 4));
  const std::string much(5000, 'x');
  EXPECT_FALSE(send_to_system_log(much.data(), much.size()));
  expect_errno_kept();
}

// Commands write to a FIFO, so that its end is theirs.
class CommandTest : public NotifyTest {
 protected:
  // What the command has said; "-" where it was not started.
  std::string run(const std::string& command, const char* argument = "",
                  char* const* environment = nullptr) {
    const std::string fifo = path("out");
    if (access(fifo.c_str(), F_OK) != 0) {
      EXPECT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    }
    const std::string text = std::string("{ ") + command + "; } > " + fifo;
    errno = 77;
    if (!run_command({text.c_str(), argument, environment, "GONE="})) return "-";
    expect_errno_kept();
    return contents(fifo);
  }
};

TEST_F(CommandTest, GetsItsArgumentAsItIs) {
  EXPECT_EQ(run("echo \"$0,$#\""), "elasticpool,1\n");
  for (const char* argument : {"one line", "", "a 'b' \"c\" $(d) `e` \\ ; *", "-n"}) {
    EXPECT_EQ(run("printf '<%s>' \"$1\"", argument), std::string("<") + argument + ">");
  }
}

TEST_F(CommandTest, HasTheEnvironmentButForOneVariable) {
  char one[] = "ONE=1";
  char gone[] = "GONE=off";
  char like_it[] = "GONE2=2";
  char path_of_it[] = "NOT=GONE=3";
  char* const environment[] = {gone, one, gone, like_it, path_of_it, gone, nullptr};
  const std::string show = "echo \"${ONE-no} ${GONE-no} ${GONE2-no} ${NOT-no}\"";
  EXPECT_EQ(run(show, "", environment), "1 no 2 GONE=3\n");
  EXPECT_EQ(run(show), "no no no no\n") << "without environment";
}

TEST_F(CommandTest, LeavesNoChildAndRaisesNoSignal) {
  const int status = test::in_child([&] {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    EXPECT_EQ(pthread_sigmask(SIG_BLOCK, &set, nullptr), 0);
    EXPECT_EQ(run("echo done"), "done\n");
    errno = 0;
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG | __WALL), -1);
    EXPECT_EQ(errno, ECHILD);
    const timespec some_time = {0, 50'000'000};
    EXPECT_EQ(sigtimedwait(&set, nullptr, &some_time), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(pthread_sigmask(SIG_UNBLOCK, &set, nullptr), 0);
  });
  EXPECT_EQ(status, 0);
}

// The caller does not wait for its end: this one runs until it is told to stop.
TEST_F(CommandTest, IsNotWaitedFor) {
  ASSERT_EQ(mkfifo(path("stop").c_str(), 0600), 0);
  const std::string text = "read line < " + path("stop") + "; echo \"$line\" > " + path("out");
  ASSERT_EQ(mkfifo(path("out").c_str(), 0600), 0);
  EXPECT_TRUE(run_command({text.c_str(), "", nullptr, "GONE="}));
  std::ofstream(path("stop")) << "enough\n";
  EXPECT_EQ(contents(path("out")), "enough\n");
}

void ignore(int) {}

TEST_F(CommandTest, HasSignalsAsAfterLogin) {
  const int status = test::in_child([&] {
    signal(SIGUSR1, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR2, ignore);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGRTMIN);
    EXPECT_EQ(pthread_sigmask(SIG_BLOCK, &set, nullptr), 0);
    const uint64_t blocked = blocked_signals();
    const std::string none = "0000000000000000";
    EXPECT_EQ(run("while read name bits; do case $name in SigBlk:|SigIgn:) echo $bits;; esac; done "
                  "< /proc/self/status"),
              none + "\n" + none + "\n");
    EXPECT_EQ(blocked_signals(), blocked);
    struct sigaction now {};
    EXPECT_EQ(sigaction(SIGUSR1, nullptr, &now), 0);
    EXPECT_EQ(now.sa_handler, SIG_IGN);
    EXPECT_EQ(sigaction(SIGUSR2, nullptr, &now), 0);
    EXPECT_EQ(now.sa_handler, ignore) << "the program's own stay";
    EXPECT_EQ(pthread_sigmask(SIG_UNBLOCK, &set, nullptr), 0);
  });
  EXPECT_EQ(status, 0);
}

TEST_F(CommandTest, OfSeveralThreads) {
  std::thread threads[4];
  for (int i = 0; i < 4; ++i) {
    threads[i] = std::thread([this, i] {
      const std::string out = path("out" + std::to_string(i));
      for (int round = 0; round < 5; ++round) {
        ASSERT_EQ(mkfifo(out.c_str(), 0600), 0);
        const std::string text = "echo \"$1\" > " + out;
        const std::string argument = std::to_string(100 * i + round);
        ASSERT_TRUE(run_command({text.c_str(), argument.c_str(), nullptr, "GONE="}));
        EXPECT_EQ(contents(out), argument + "\n");
        unlink(out.c_str());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

int64_t g_mapped_bytes = 0;
bool g_refuses = false;

TEST_F(CommandTest, GivesItsMemoryBackOrGetsNone) {
  Vm counting = kernel_vm();
  counting.map_anywhere = [](size_t bytes) -> void* {
    if (g_refuses) return nullptr;
    g_mapped_bytes += static_cast<int64_t>(bytes);
    return kernel_vm().map_anywhere(bytes);
  };
  counting.unmap = [](uintptr_t at, size_t bytes) {
    g_mapped_bytes -= static_cast<int64_t>(bytes);
    return kernel_vm().unmap(at, bytes);
  };
  set_vm(counting);
  EXPECT_EQ(run("echo ran"), "ran\n");
  EXPECT_EQ(g_mapped_bytes, 0);
  g_refuses = true;
  EXPECT_EQ(run("echo ran"), "-");
  g_refuses = false;
  set_vm(kernel_vm());
  expect_errno_kept();
}

}  // namespace
}  // namespace elasticpool
