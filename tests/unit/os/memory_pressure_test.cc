// os/memory_pressure.h: its texts, the service manager's protocol, waiting and waking, and what
// only a kernel does: events that fire, files that fail.
#include "os/memory_pressure.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdio>
#include <thread>

#include "os/fake_files.h"

namespace elasticpool {
namespace {

using test::in_child;
using test::kept_descriptors;
using test::open_descriptors;

constexpr uint64_t kMiB = 1 << 20;
// Nothing of a test's waits so long.
constexpr uint64_t kLongMs = 600'000;

TEST(PressureTexts, Stall) {
  PressureStall stall;
  ASSERT_TRUE(
      parse_stall("some avg10=1.25 avg60=2.00 avg300=3.00 total=12345\n"
                  "full avg10=100.00 avg60=2.00 avg300=3.00 total=18446744073709551615\n",
                  &stall));
  EXPECT_EQ(stall.some_avg10_permyriad, 125U);
  EXPECT_EQ(stall.full_avg10_permyriad, 10000U);
  EXPECT_EQ(stall.some_total_us, 12345U);
  EXPECT_EQ(stall.full_total_us, UINT64_MAX);
  ASSERT_TRUE(parse_stall("some avg10=0.07 avg60=0.00 avg300=0.00 total=1", &stall));
  EXPECT_EQ(stall.some_avg10_permyriad, 7U);
  EXPECT_EQ(stall.full_total_us, 0U);
  const PressureStall before = stall;
  for (const char* text :
       {"", "\n", "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", "some\n", "some avg10=0.00\n",
        "some avg10=0.00 \ntotal=5\n", "some avg10=0 total=5\n", "some avg10=-1.00 total=5\n",
        "some avg10=0.1 total=5\n", "some avg10=x total=5\n", "some avg10=1x00 total=5\n",
        "some avg10=1.00 avg60=0.00\nother total=5\n", "some avg10=1.00 total=\n",
        "some avg10=101.00 total=5\n", "some avg10=1.00 total=5\nfull\n", "12345\n"}) {
    EXPECT_FALSE(parse_stall(text, &stall)) << text;
  }
  EXPECT_EQ(stall.some_avg10_permyriad, before.some_avg10_permyriad);
}

TEST(PressureTexts, Events) {
  GroupEvents events;
  ASSERT_TRUE(
      parse_group_events("low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n", &events));
  EXPECT_EQ(events, (GroupEvents{1, 2, 3, 4, 5}));
  ASSERT_TRUE(parse_group_events("max 7\n", &events));
  EXPECT_EQ(events, (GroupEvents{0, 0, 7, 0, 0}));
  for (const char* text : {"", "low 1\n", "max\n", "max x\n", "maximum 3\n"}) {
    EXPECT_FALSE(parse_group_events(text, &events)) << text;
  }
}

std::string decoded(const char* text, size_t capacity = 64) {
  char bytes[64];
  const auto count = decode_base64(text, std::span(bytes).first(capacity));
  return count.has_value() ? std::string(bytes, *count) : "refused";
}

TEST(PressureTexts, Base64) {
  EXPECT_EQ(decoded(""), "");
  EXPECT_EQ(decoded("Zg=="), "f");
  EXPECT_EQ(decoded("Zm8="), "fo");
  EXPECT_EQ(decoded("Zm9v"), "foo");
  EXPECT_EQ(decoded("Zm9vYg"), "foob") << "without padding";
  EXPECT_EQ(decoded("Zm9vYmE="), "fooba");
  EXPECT_EQ(decoded("Zm9vYmFy"), "foobar");
  EXPECT_EQ(decoded("+/+/"), "\xfb\xff\xbf");
  EXPECT_EQ(decoded("c29tZSAyMDAwMDAgMjAwMDAwMAA="), std::string("some 200000 2000000\0", 20));
  for (const char* text : {"Z", "Zm9vY", "Zg=", "Zg===", "Zm8==", "=", "Zm9v=", "Zm 9v", "Zm9v\n",
                           "Zm9v-_", "Zg==Zg=="}) {
    EXPECT_EQ(decoded(text), "refused") << text;
  }
  EXPECT_EQ(decoded("Zm9vYmFy", 6), "foobar");
  EXPECT_EQ(decoded("Zm9vYmFy", 5), "refused");
}

class PressureWatchTest : public test::FakeFiles {
 protected:
  void SetUp() override {
    FakeFiles::SetUp();
    mount_ = path("mount");
    group_ = {mount_.c_str(), "", "/g", 2, true};
    none_ = path("none");
  }
  void TearDown() override {
    watch_.close();
    EXPECT_EQ(kept_descriptors(), std::set<int>{}) << "left open";
    FakeFiles::TearDown();
  }

  void open_service(const std::string& file, const char* write = nullptr) {
    service_ = file;
    PressureSources sources;
    sources.system_stall = none_.c_str();
    sources.arms_triggers = true;
    sources.watch = service_.c_str();
    sources.watch_write = write;
    watch_.open(sources);
  }
  void open_group(const ControlGroup& group, std::span<const uint64_t> thresholds_bytes = {}) {
    PressureSources sources;
    sources.system_stall = none_.c_str();
    sources.arms_triggers = true;
    sources.group = &group;
    sources.thresholds_bytes = thresholds_bytes;
    watch_.open(sources);
  }
  PressureEvents wait(uint64_t timeout_ms) { return watch_.wait(timeout_ms, word_, 0); }

  std::string mount_;
  std::string none_;
  std::string service_;
  ControlGroup group_;
  PressureWatch watch_;
  std::atomic<uint32_t> word_{0};
};

const PressureEvents kNothing = {};
const PressureEvents kLost = {.lost = true};
const PressureEvents kService = {.service = true};

TEST_F(PressureWatchTest, WithoutSourcesItSleeps) {
  for (const bool opened : {false, true}) {
    if (opened) open_group(group_);
    EXPECT_EQ(watch_.polled_count(), 0U);
    EXPECT_EQ(kept_descriptors().size(), 0U);
    EXPECT_EQ(wait(1), kNothing);
    EXPECT_EQ(watch_.wait(kLongMs, word_, 1), kNothing) << "the word is another";
    PressureStall stall;
    GroupEvents events;
    EXPECT_FALSE(watch_.read_group_stall(&stall));
    EXPECT_FALSE(watch_.read_system_stall(&stall));
    EXPECT_FALSE(watch_.read_group_events(&events));
  }
}

// With and without a source: a waiter who sleeps, and one who was about to.
TEST_F(PressureWatchTest, WakeEndsTheWait) {
  for (const bool polls : {false, true}) {
    if (polls) {
      ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
      open_service(path("fifo"));
      ASSERT_EQ(watch_.polled_count(), 1U);
    }
    for (int i = 0; i < 200; ++i) {
      word_.store(0);
      std::thread other([&] {
        if (i % 2 == 0) std::this_thread::sleep_for(std::chrono::microseconds(20 * i));
        word_.store(1);
        watch_.wake(word_);
      });
      while (word_.load() == 0) wait(kLongMs);
      other.join();
    }
    // What was said meanwhile ends at most one more.
    word_.store(0);
    wait(1);
    EXPECT_EQ(wait(1), kNothing) << polls;
  }
}

TEST_F(PressureWatchTest, AWordThatHasChangedIsSeen) {
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  open_service(path("fifo"));
  EXPECT_EQ(watch_.wait(kLongMs, word_, 1), kNothing);
  watch_.wake(word_);
  EXPECT_EQ(wait(kLongMs), (PressureEvents{.woken = true}));
  EXPECT_EQ(wait(1), kNothing) << "said once";
}

TEST_F(PressureWatchTest, ServiceFifo) {
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  open_service(path("fifo"));
  ASSERT_EQ(watch_.polled_count(), 1U);
  EXPECT_EQ(wait(1), kNothing);
  for (size_t i = 0; i < 3; ++i) {
    const int writer = ::open(path("fifo").c_str(), O_WRONLY | O_NONBLOCK);
    const std::string much(1000 + 12 * i, 'x');
    ASSERT_EQ(::write(writer, much.data(), much.size()), static_cast<ssize_t>(much.size()));
    EXPECT_EQ(wait(kLongMs), kService);
    EXPECT_EQ(wait(1), kNothing) << "all of it is read";
    close(writer);
    EXPECT_EQ(wait(1), kNothing) << "that a writer goes is no event";
  }
  open_service(path("fifo"), "Zm9v");
  EXPECT_EQ(wait(kLongMs), kService) << "our own words, as the protocol says";
}

TEST_F(PressureWatchTest, ServiceSocket) {
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path("socket").c_str());
  const std::set<int> before = open_descriptors();
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  open_service(path("socket"), "Zm9v");
  EXPECT_EQ(watch_.polled_count(), 0U) << "nobody listens";
  EXPECT_EQ(open_descriptors(), before);
  ASSERT_EQ(listen(listener, 1), 0);
  open_service(path("socket"), "Zm9v");
  ASSERT_EQ(watch_.polled_count(), 1U);
  const int manager = accept(listener, nullptr, nullptr);
  char bytes[16] = {};
  EXPECT_EQ(read(manager, bytes, sizeof bytes), 3);
  EXPECT_STREQ(bytes, "foo");
  EXPECT_EQ(wait(1), kNothing);
  ASSERT_EQ(::write(manager, "now", 3), 3);
  EXPECT_EQ(wait(kLongMs), kService);
  EXPECT_EQ(wait(1), kNothing);
  close(manager);
  const PressureEvents end = wait(kLongMs);
  EXPECT_TRUE(end.lost);
  EXPECT_EQ(watch_.polled_count(), 0U) << "never again, without a pause";
  const std::string far = path(std::string(200, 'x'));
  ASSERT_EQ(rename(address.sun_path, far.c_str()), 0);
  open_service(far);
  EXPECT_EQ(watch_.polled_count(), 0U) << "no address is so long";
  close(listener);
}

TEST_F(PressureWatchTest, ServiceFile) {
  write("file", "xxxxxx");
  const std::set<int> before = open_descriptors();
  open_service(path("file"), "Zm9vAA==");
  EXPECT_EQ(watch_.polled_count(), 1U);
  char text[8] = {};
  std::ifstream(path("file")).read(text, sizeof text);
  EXPECT_EQ(std::string(text, 6), std::string("foo\0xx", 6));
  EXPECT_EQ(wait(1), kNothing);
  std::filesystem::permissions(path("file"), std::filesystem::perms::owner_read);
  open_service(path("file"));
  EXPECT_EQ(watch_.polled_count(), 1U) << "nothing is to be written";
  open_service(path("file"), "no base64");
  EXPECT_EQ(watch_.polled_count(), 0U);
  open_service("/dev/full", "Zm9v");
  EXPECT_EQ(watch_.polled_count(), 0U) << "a device";
  open_service(path(""));
  EXPECT_EQ(watch_.polled_count(), 0U) << "a folder";
  open_service(path("none"));
  open_service("");
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(PressureWatchTest, TheServiceManagerMayForbid) {
  write("mount/g/memory.pressure", "some avg10=0.50 avg60=0.00 avg300=0.00 total=9\n");
  write("mount/g/memory.events", "max 3\n");
  for (const char* watch : {"/dev/null", static_cast<const char*>(nullptr)}) {
    const std::string system = path("mount/g/memory.pressure");
    PressureSources sources = {
        .group = &group_, .watch = watch, .system_stall = system.c_str(), .arms_triggers = true};
    watch_.open(sources);
    EXPECT_EQ(watch_.polled_count(), watch != nullptr ? 0U : 3U);
    EXPECT_EQ(kept_descriptors().size(), watch != nullptr ? 3U : 4U);
    PressureStall stall;
    // The trigger was written over its text.
    EXPECT_EQ(watch_.read_group_stall(&stall), watch != nullptr);
    if (watch != nullptr) {
      EXPECT_EQ(stall.some_avg10_permyriad, 50U);
      EXPECT_TRUE(watch_.read_system_stall(&stall));
      GroupEvents events;
      EXPECT_TRUE(watch_.read_group_events(&events));
      EXPECT_EQ(events.max, 3U);
    }
  }
  std::ifstream file(path("mount/g/memory.pressure"));
  std::string written(sizeof PressureWatch::kStallTrigger, 'x');
  file.read(written.data(), static_cast<std::streamsize>(written.size()));
  EXPECT_EQ(written, std::string(PressureWatch::kStallTrigger, written.size())) << "with its NUL";
}

TEST_F(PressureWatchTest, TriggersOfOursOnRequest) {
  const std::string text = "some avg10=0.50 avg60=0.00 avg300=0.00 total=9\n";
  write("mount/g/memory.pressure", text);
  write("service", "");
  const std::string service = path("service");
  PressureSources sources = {.group = &group_, .watch = service.c_str()};
  sources.system_stall = none_.c_str();
  PressureStall stall;
  for (const bool asked : {false, true}) {
    sources.arms_triggers = asked;
    watch_.open(sources);
    EXPECT_EQ(watch_.polled_count(), 1U);
    EXPECT_TRUE(watch_.read_group_stall(&stall)) << "untouched";
  }
  sources.arms_triggers = false;
  sources.watch = nullptr;
  watch_.open(sources);
  EXPECT_EQ(watch_.polled_count(), 0U);
  EXPECT_TRUE(watch_.read_group_stall(&stall)) << "nobody has asked for it";
}

TEST_F(PressureWatchTest, FilesOfNoKnownKind) {
  std::filesystem::create_directories(path("mount/g/memory.pressure"));
  for (const char* text : {"", "x", "max\n"}) {
    write("mount/g/memory.events", text);
    open_group(group_);
    EXPECT_EQ(watch_.polled_count(), 0U);
    EXPECT_EQ(wait(1), kNothing);
  }
  remove("mount/g/memory.events");
  std::filesystem::create_directories(path("mount/g/memory.events"));
  open_group(group_);
  EXPECT_EQ(watch_.polled_count(), 0U);
  // What is written is refused: nothing is armed.
  for (const char* name : {"memory.pressure", "cgroup.event_control"}) {
    remove(std::string("mount/g/") + name);
    std::filesystem::create_symlink("/dev/full", path(std::string("mount/g/") + name));
  }
  write("mount/g/memory.usage_in_bytes", "1\n");
  const uint64_t thresholds_bytes[] = {kMiB};
  for (const bool is_v2 : {true, false}) {
    group_.is_v2 = is_v2;
    open_group(group_, thresholds_bytes);
    EXPECT_EQ(watch_.polled_count(), 0U);
    EXPECT_EQ(kept_descriptors().size(), is_v2 ? 2U : 0U);
  }
}

TEST_F(PressureWatchTest, ClosedByTheProgram) {
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  for (int left = 0; left < 2; ++left) {
    open_service(path("fifo"));
    const std::set<int> ours = kept_descriptors();
    ASSERT_EQ(ours.size(), 2U);
    const int theirs = ::open("/dev/zero", O_RDWR);
    int i = 0;
    for (const int fd : ours) {
      if (i++ == left) continue;
      ASSERT_EQ(dup2(theirs, fd), fd);
    }
    EXPECT_EQ(wait(kLongMs), kLost) << left;
    watch_.wake(word_);
    watch_.close();
    EXPECT_EQ(kept_descriptors().size(), 1U) << "the program's";
    for (const int fd : ours) close(fd);
    close(theirs);
  }
}

TEST_F(PressureWatchTest, FewDescriptors) {
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  for (const rlim_t most : {3U, 64U}) {
    const int status = in_child([&] {
      const rlimit limit = {most, most};
      EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
      open_service(path("fifo"));
      EXPECT_EQ(watch_.polled_count(), 0U);
      EXPECT_EQ(wait(1), kNothing);
    });
    EXPECT_EQ(status, 0) << most;
  }
}

// The kernel's own file of which poll says POLLERR and POLLPRI with each change, as of
// memory.events: a name that is ours alone.
bool has_own_host_name() {
  return unshare(CLONE_NEWUTS) == 0 && sethostname("max 1", 5) == 0 &&
         access("/proc/sys/kernel/hostname", W_OK) == 0;
}

TEST_F(PressureWatchTest, EventsOfTheGroup) {
  std::filesystem::create_directories(path("mount/g"));
  std::filesystem::create_symlink("/proc/sys/kernel/hostname", path("mount/g/memory.events"));
  const int status = in_child([&] {
    if (!has_own_host_name()) _exit(77);
    open_group(group_);
    EXPECT_EQ(watch_.polled_count(), 1U);
    EXPECT_EQ(wait(1), kNothing);
    for (const char* now : {"max 2", "max 3"}) {
      std::thread other([now] { EXPECT_EQ(sethostname(now, 5), 0); });
      EXPECT_EQ(wait(kLongMs), (PressureEvents{.group_events = true}));
      other.join();
      EXPECT_EQ(wait(1), kNothing);
    }
    EXPECT_EQ(sethostname("max 3", 5), 0);
    EXPECT_EQ(wait(1), kNothing) << "nothing has changed";
    EXPECT_EQ(sethostname("gone", 4), 0);
    EXPECT_EQ(wait(kLongMs), kLost);
    EXPECT_EQ(watch_.polled_count(), 0U);
    // A trigger that the kernel has taken away.
    std::filesystem::rename(path("mount/g/memory.events"), path("mount/g/memory.pressure"));
    open_group(group_);
    EXPECT_EQ(watch_.polled_count(), 1U);
    EXPECT_EQ(sethostname("gone", 4), 0);
    EXPECT_EQ(wait(kLongMs), kLost);
    EXPECT_EQ(watch_.polled_count(), 0U);
  });
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "no host name of our own";
  EXPECT_EQ(status, 0);
}

// A real group of version 1.
class RealGroup {
 public:
  RealGroup() {
    snprintf(path_, sizeof path_, "/elasticpool-test-%d-p", getpid());
    exists_ = mkdir((std::string(kFolder) + path_).c_str(), 0700) == 0;
  }
  ~RealGroup() { remove(); }
  RealGroup(const RealGroup&) = delete;
  RealGroup& operator=(const RealGroup&) = delete;

  bool exists() const { return exists_; }
  void remove() { rmdir((std::string(kFolder) + path_).c_str()); }
  bool write(const char* name, const std::string& text) const {
    std::ofstream file(std::string(kFolder) + path_ + "/" + name);
    return static_cast<bool>(file << text << std::flush);
  }
  ControlGroup group() const { return {"/sys/fs/cgroup", "/memory", path_, strlen(path_), false}; }

 private:
  static constexpr char kFolder[] = "/sys/fs/cgroup/memory";
  char path_[64];
  bool exists_;
};

TEST_F(PressureWatchTest, ThresholdsOfVersionOne) {
  RealGroup real;
  if (!real.exists()) GTEST_SKIP() << "no version 1 groups to be made here";
  const uint64_t thresholds_bytes[] = {100 * kMiB, 200 * kMiB};
  const std::set<int> before = open_descriptors();
  open_group(real.group(), thresholds_bytes);
  if (watch_.polled_count() == 0) GTEST_SKIP() << "this kernel knows no thresholds";
  EXPECT_EQ(open_descriptors().size(), before.size() + 2) << "two eventfds";
  EXPECT_EQ(wait(1), kNothing);
  const PressureEvents crossed = {.threshold = true};
  int go[2];
  ASSERT_EQ(pipe(go), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (!real.write("cgroup.procs", std::to_string(getpid()))) _exit(1);
    char c = 0;
    for (int i = 0; i < 2; ++i) {
      if (read(go[0], &c, 1) != 1) _exit(2);
      mmap(nullptr, 110 * kMiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
           -1, 0);
    }
    _exit(0);
  }
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(::write(go[1], "x", 1), 1);
    EXPECT_EQ(wait(kLongMs), crossed) << i;
    EXPECT_EQ(wait(1), kNothing) << "said once";
  }
  int status = 1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(wait(kLongMs), crossed) << "under them again";
  wait(10);
  real.remove();
  EXPECT_EQ(wait(kLongMs), crossed) << "the group is gone";
  close(go[0]);
  close(go[1]);
}

TEST_F(PressureWatchTest, AGroupThatGoesWithItsTrigger) {
  const std::string name = "/elasticpool-test-" + std::to_string(getpid());
  for (const std::string top : {"/unified", ""}) {
    const std::string folder = "/sys/fs/cgroup" + top + name;
    if (mkdir(folder.c_str(), 0700) != 0) continue;
    open_group({"/sys/fs/cgroup", top.c_str(), name.c_str(), name.size(), true});
    const size_t polled = watch_.polled_count();
    PressureStall stall;
    const bool is_read = watch_.read_group_stall(&stall);
    const PressureEvents before = wait(1);
    rmdir(folder.c_str());
    if (polled == 0) GTEST_SKIP() << "no trigger may be armed here";
    EXPECT_TRUE(is_read);
    EXPECT_EQ(before, kNothing);
    EXPECT_EQ(wait(kLongMs), kLost);
    EXPECT_FALSE(watch_.read_group_stall(&stall));
    return;
  }
  GTEST_SKIP() << "no version 2 groups to be made here";
}

// Reads more of a file than a group may hold, until told to end: the kernel takes back what it has
// just read.
class Thrash {
 public:
  Thrash(const RealGroup& group, const std::string& file) {
    if (!group.write("memory.limit_in_bytes", std::to_string(8 * kMiB))) return;
    pid_ = fork();
    if (pid_ != 0) return;
    if (!group.write("cgroup.procs", std::to_string(getpid()))) _exit(1);
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT, 0600);
    if (ftruncate(fd, 64 * kMiB) != 0) _exit(2);
    static char bytes[kMiB];
    for (;;) {
      for (off_t at = 0; at < static_cast<off_t>(64 * kMiB); at += kMiB) {
        if (pread(fd, bytes, sizeof bytes, at) != sizeof bytes) _exit(3);
      }
    }
  }
  ~Thrash() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Thrash(const Thrash&) = delete;
  Thrash& operator=(const Thrash&) = delete;

 private:
  pid_t pid_ = -1;
};

TEST_F(PressureWatchTest, ARealStall) {
  RealGroup real;
  if (!real.exists()) GTEST_SKIP() << "no version 1 groups to be made here";
  // "some 1 2000000": any stall at all.
  open_service("/proc/pressure/memory", "c29tZSAxIDIwMDAwMDAA");
  if (watch_.polled_count() == 0) GTEST_SKIP() << "no trigger may be armed here";
  const Thrash thrash(real, path("file"));
  EXPECT_EQ(wait(kLongMs), kService);
  const std::string system = "/proc/pressure/memory";
  PressureSources sources = {.system_stall = system.c_str(), .arms_triggers = true};
  watch_.open(sources);
  EXPECT_EQ(watch_.polled_count(), 1U);
  PressureStall stall;
  ASSERT_TRUE(watch_.read_system_stall(&stall));
  EXPECT_GT(stall.some_total_us, 0U);
  const PressureEvents events = wait(20'000);
  if (events == kNothing) GTEST_SKIP() << "less of a stall than the trigger wants";
  EXPECT_EQ(events, (PressureEvents{.system_stall = true}));
}

}  // namespace
}  // namespace elasticpool
