// os/event_counter.h: it wakes who polls it, and touches no eventfd of the program's.
#include "os/event_counter.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <cerrno>
#include <thread>

#include "os/fake_files.h"

namespace elasticpool {
namespace {

bool is_readable(int fd) {
  pollfd set = {fd, POLLIN, 0};
  return poll(&set, 1, 0) == 1;
}

TEST(EventCounter, CountsAndIsDrained) {
  EventCounter counter;
  EXPECT_FALSE(counter.signal());
  EXPECT_EQ(counter.verified(), -EBADF);
  ASSERT_TRUE(counter.open());
  const int fd = static_cast<int>(counter.verified());
  EXPECT_GE(fd, KeptFile::kLeastDescriptor);
  EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  EXPECT_FALSE(is_readable(fd));
  counter.drain();  // does not block
  EXPECT_TRUE(counter.signal());
  EXPECT_TRUE(counter.signal());
  EXPECT_TRUE(is_readable(fd));
  counter.drain();
  EXPECT_FALSE(is_readable(fd));
  const size_t open_before = test::kept_descriptors().size();
  ASSERT_TRUE(counter.open());
  EXPECT_EQ(test::kept_descriptors().size(), open_before) << "what was is closed";
  counter.close();
  EXPECT_EQ(test::kept_descriptors().size(), open_before - 1);
  EXPECT_FALSE(counter.is_open());
}

TEST(EventCounter, AnotherThreadSignals) {
  EventCounter counter;
  ASSERT_TRUE(counter.open());
  std::thread other([&] { counter.signal(); });
  pollfd set = {static_cast<int>(counter.verified()), POLLIN, 0};
  EXPECT_EQ(poll(&set, 1, -1), 1);
  other.join();
  counter.close();
}

TEST(EventCounter, AnEventfdOfTheProgramIsLeftAlone) {
  EventCounter counter;
  for (const int flags : {0, int{EFD_NONBLOCK}, EFD_NONBLOCK | EFD_CLOEXEC}) {
    ASSERT_TRUE(counter.open());
    const int number = static_cast<int>(counter.verified());
    const int theirs = eventfd(5, flags);
    ASSERT_EQ(dup2(theirs, number), number);
    close(theirs);
    EXPECT_FALSE(counter.signal());
    counter.drain();
    EXPECT_FALSE(counter.is_open());
    counter.close();
    eventfd_t value = 0;
    ASSERT_EQ(eventfd_read(number, &value), 0) << "still open";
    EXPECT_EQ(value, 5U);
    close(number);
  }
}

TEST(EventCounter, ClosedOrReplacedByTheProgram) {
  EventCounter counter;
  ASSERT_TRUE(counter.open());
  close(static_cast<int>(counter.verified()));
  errno = 0;
  EXPECT_FALSE(counter.signal());
  counter.drain();
  EXPECT_EQ(errno, 0);
  EXPECT_FALSE(counter.is_open());
  ASSERT_TRUE(counter.open());
  const int number = static_cast<int>(counter.verified());
  char name[] = "/tmp/ep_counter_XXXXXX";
  const int file = mkostemp(name, O_APPEND | O_NONBLOCK);
  ASSERT_GE(file, 0);
  unlink(name);
  ASSERT_EQ(dup2(file, number), number);
  EXPECT_FALSE(counter.signal());
  EXPECT_EQ(lseek(file, 0, SEEK_END), 0) << "nothing is written to it";
  counter.close();
  EXPECT_EQ(close(number), 0);
  close(file);
}

TEST(EventCounter, NoNumberLeft) {
  const int status = test::in_child([] {
    const rlimit limit = {64, 64};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    const std::set<int> before = test::open_descriptors();
    EventCounter counter;
    EXPECT_FALSE(counter.open());
    EXPECT_FALSE(counter.is_open());
    EXPECT_EQ(test::open_descriptors(), before);
  });
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace elasticpool
