// Elasticity over real processes: joins, leaves, deaths at random moments under load.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <string>
#include <vector>

#include "scale_world.h"

using ring_scale::Book;
using ring_scale::in_child;
using ring_scale::now_ns;
using ring_scale::sleep_ns;

namespace {

constexpr uint64_t kMsNs = 1'000'000;

uint64_t seed() {
  const char* text = getenv("EP_RING_SEED");
  const uint64_t value = text != nullptr ? strtoull(text, nullptr, 10) : now_ns();
  printf("EP_RING_SEED=%llu\n", static_cast<unsigned long long>(value));
  return value;
}

class ScaleProcesses : public ::testing::Test {
 public:
  void SetUp() override {
    ep_ring_options options;
    ep_ring_options_init(&options);
    options.pool_bytes = 8 << 20;
    options.slots = 4096;
    ASSERT_EQ(ep_ring_create(nullptr, &options, &ring), EP_RING_OK);
    ASSERT_EQ(ep_ring_group_create(ring, "g", nullptr), EP_RING_OK);
    book = ring_scale::make_book();
    ASSERT_NE(book, nullptr);
    starter.context = this;
    starter.start = [](void* self, const char* name) {
      auto& test = *static_cast<ScaleProcesses*>(self);
      if (test.start_errno != 0) {
        errno = test.start_errno;
        return -1;
      }
      return in_child([&] { return ring_scale::work(test.ring, *test.book, "g", name); });
    };
    starter.exited = [](void* self, const ep_ring_exit* exit) {
      static_cast<ScaleProcesses*>(self)->note_exit(*exit);
    };
  }
  void TearDown() override {
    if (scaler != nullptr) {
      ep_ring_scale_down(scaler, 0);
      EXPECT_EQ(ep_ring_scaler_settle(scaler, 60000), EP_RING_OK);
      ep_ring_scaler_close(scaler);
    }
    ep_ring_detach(ring);
    ring_scale::drop_book(book);
  }

  void note_exit(const ep_ring_exit& exit) {
    if (exit.start_error != 0) {
      ++failed_starts;
      last_start_error = exit.start_error;
      return;
    }
    ++(exit.was_asked ? asked_exits : other_exits);
    if (exit.was_asked && WIFEXITED(exit.status) && WEXITSTATUS(exit.status) == 0) ++clean_exits;
    last_status = exit.status;
  }
  void open_scaler() { ASSERT_EQ(ep_ring_scaler_open(ring, "g", &starter, &scaler), EP_RING_OK); }
  void start_producer(uint64_t keys, uint64_t pause_ns) {
    producer = in_child([&] { return ring_scale::produce(ring, *book, keys, pause_ns); });
    ASSERT_GT(producer, 0);
  }
  // The producer has stopped; all that it published is acknowledged by somebody.
  void drain() {
    book->stop = 1;
    book->batch_ns = 0;
    int status = 0;
    while (waitpid(producer, &status, WNOHANG) == 0) {
      ep_ring_scaler_poll(scaler);
      sleep_ns(kMsNs);
    }
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "producer " << status;
    ep_ring_group_stat stat{};
    for (int i = 0; i < 60000; ++i) {
      ep_ring_scaler_poll(scaler);
      ASSERT_TRUE(ep_ring_read_group(ring, 0, &stat));
      if (stat.lag == 0) break;
      sleep_ns(kMsNs);
    }
    ASSERT_EQ(stat.lag, 0U);
  }
  // Each sequence once. with_deaths: or, after a death, again, and with a higher number each time.
  void check_book(bool with_deaths) {
    const uint64_t published = book->published;
    uint64_t lost = 0;
    uint64_t again = 0;
    uint64_t unmarked = 0;
    for (uint64_t i = 1; i <= published; ++i) {
      if (book->seen[i] == 0) ++lost;
      if (book->seen[i] > 1) ++again;
      if (book->acked[i] != 1) ++unmarked;
    }
    EXPECT_EQ(book->seen[published + 1], 0);
    EXPECT_EQ(lost, 0U) << "LOST of " << published;
    EXPECT_EQ(book->faults, 0U);
    if (!with_deaths) {
      EXPECT_EQ(again, 0U);
      EXPECT_EQ(unmarked, 0U);
    }
    printf("  %llu messages, %llu of them delivered again, %llu died between taking and marking\n",
           static_cast<unsigned long long>(published), static_cast<unsigned long long>(again),
           static_cast<unsigned long long>(unmarked));
  }
  void check_region() {
    ASSERT_EQ(ep_ring_cleanup_before(ring, UINT64_MAX), EP_RING_OK);
    ep_ring_stat stat;
    ep_ring_read_stat(ring, &stat);
    EXPECT_EQ(stat.pool_used_bytes, 0U);
    EXPECT_EQ(stat.corruptions, 0U);
    const auto print = [](void*, const char* line) { printf("  fault: %s\n", line); };
    EXPECT_EQ(ep_ring_check(ring, print, nullptr), 0U);
  }
  void leave_all() {
    ASSERT_EQ(ep_ring_scale_down(scaler, 0), EP_RING_OK);
    ASSERT_EQ(ep_ring_scaler_settle(scaler, 60000), EP_RING_OK);
  }
  ep_ring_scaler_stat stat() const {
    ep_ring_scaler_stat result;
    ep_ring_scaler_read_stat(scaler, &result);
    return result;
  }
  // A process of the workers that runs; 0: there is none.
  int any_worker(uint64_t number) {
    std::vector<int> live;
    ep_ring_member_stat member;
    for (uint32_t i = 0; ep_ring_read_member(ring, i, &member); ++i) {
      if (member.group[0] != '\0' && member.alive) live.push_back(static_cast<int>(member.pid));
    }
    return live.empty() ? 0 : live[number % live.size()];
  }
  void poll_for(uint64_t ns) {
    for (const uint64_t end = now_ns() + ns; now_ns() < end; sleep_ns(kMsNs)) {
      ep_ring_scaler_poll(scaler);
    }
  }

  ep_ring* ring = nullptr;
  Book* book = nullptr;
  ep_ring_scaler* scaler = nullptr;
  ep_ring_starter starter{};
  pid_t producer = 0;
  int start_errno = 0;
  uint32_t asked_exits = 0, other_exits = 0, clean_exits = 0, failed_starts = 0;
  int last_start_error = 0, last_status = 0;
};

TEST_F(ScaleProcesses, JoinsAndLeavesUnderLoadLoseNothing) {
  std::mt19937_64 random(seed());
  for (const uint64_t keys : {uint64_t{0}, uint64_t{100}}) {
    book->stop = 0;
    if (scaler == nullptr) open_scaler();
    ASSERT_EQ(ep_ring_scale_up(scaler, 2), EP_RING_OK);
    book->batch_ns = 20'000;
    start_producer(keys, 0);
    for (int i = 0; i < 40; ++i) {
      const ep_ring_scaler_stat now = stat();
      if (now.running < 2 || (now.running < 6 && random() % 2 == 0)) {
        ASSERT_EQ(ep_ring_scale_up(scaler, 1 + static_cast<unsigned>(random() % 2)), EP_RING_OK);
      } else {
        ASSERT_EQ(ep_ring_scale_down(scaler, 1 + static_cast<unsigned>(random() % now.running)),
                  EP_RING_OK);
      }
      poll_for(random() % (30 * kMsNs));
    }
    drain();
    check_book(false);
    leave_all();
    EXPECT_EQ(other_exits, 0U);
    EXPECT_EQ(clean_exits, asked_exits);
    check_region();
    // A new ring for the next round: its sequences begin anew, like the book.
    TearDown();
    scaler = nullptr;
    SetUp();
  }
}

TEST_F(ScaleProcesses, DeathsUnderLoadLoseNothing) {
  std::mt19937_64 random(seed());
  open_scaler();
  ASSERT_EQ(ep_ring_scale_up(scaler, 4), EP_RING_OK);
  book->batch_ns = 20'000;
  start_producer(100, 0);
  int kills = 0;
  for (int i = 0; i < 100; ++i) {
    const ep_ring_scaler_stat now = stat();
    const uint64_t what = random() % 4;
    if (now.running < 3) {
      ASSERT_EQ(ep_ring_scale_up(scaler, 2), EP_RING_OK);
    } else if (what == 0 && now.running > 6) {
      ASSERT_EQ(ep_ring_scale_down(scaler, 3), EP_RING_OK);
    } else if (what == 1 && now.running < 8) {
      ASSERT_EQ(ep_ring_scale_up(scaler, 1), EP_RING_OK);
    } else if (const int victim = any_worker(random()); victim > 1) {
      kills += kill(victim, SIGKILL) == 0 ? 1 : 0;
    }
    poll_for(random() % (40 * kMsNs));
  }
  drain();
  printf("  %d killed, %u exits unasked, %llu started again\n", kills, other_exits,
         static_cast<unsigned long long>(stat().restarts));
  EXPECT_GT(kills, 10);
  EXPECT_GT(stat().restarts, 0U);
  check_book(true);
  leave_all();
  check_region();
}

// ---- Supervision.

TEST_F(ScaleProcesses, DeadAreStartedAgainAndTold) {
  open_scaler();
  ASSERT_EQ(ep_ring_scale_up(scaler, 1), EP_RING_OK);
  ASSERT_EQ(ep_ring_scaler_settle(scaler, 60000), EP_RING_OK);
  const int first = any_worker(0);
  ASSERT_GT(first, 1);
  const std::string name = book->worker[0].name;
  ASSERT_EQ(kill(first, SIGKILL), 0);
  while (other_exits == 0) {
    ep_ring_scaler_poll(scaler);
    sleep_ns(kMsNs);
  }
  EXPECT_TRUE(WIFSIGNALED(last_status) && WTERMSIG(last_status) == SIGKILL) << last_status;
  // It died at once, so it waits.
  EXPECT_EQ(stat().waiting, 1U);
  EXPECT_EQ(stat().restarts, 0U);
  ASSERT_EQ(ep_ring_scaler_settle(scaler, 60000), EP_RING_OK);
  EXPECT_EQ(stat().restarts, 1U);
  EXPECT_NE(any_worker(0), first);
  EXPECT_EQ(name, book->worker[1].name);
  leave_all();
  EXPECT_EQ(asked_exits, 1U);
  EXPECT_EQ(clean_exits, 1U);
  EXPECT_EQ(stat().exits, 2U);
}

// The delay grows: between the starts of one that dies at once there is more time each time.
TEST_F(ScaleProcesses, WhoDiesAtOnceIsStartedMoreAndMoreRarely) {
  starter.start = [](void* self, const char* name) {
    auto& test = *static_cast<ScaleProcesses*>(self);
    return in_child([&test, name] {
      ring_scale::register_worker(*test.book, name).messages = now_ns();
      return 7;
    });
  };
  open_scaler();
  ASSERT_EQ(ep_ring_scale_up(scaler, 1), EP_RING_OK);
  while (book->workers < 4) {
    ep_ring_scaler_poll(scaler);
    sleep_ns(kMsNs);
  }
  EXPECT_GE(other_exits, 3U);
  EXPECT_TRUE(WIFEXITED(last_status) && WEXITSTATUS(last_status) == 7);
  for (int i = 1; i < 4; ++i) {
    const uint64_t between = book->worker[i].messages - book->worker[i - 1].messages;
    EXPECT_GE(between, (100 * kMsNs << (i - 1)) * 9 / 10) << "start " << i;
  }
}

TEST_F(ScaleProcesses, WhoDoesNotLeaveIsKilledAndLosesNothing) {
  starter.grace_ms = 50;
  open_scaler();
  book->stubborn = 1;
  ASSERT_EQ(ep_ring_scale_up(scaler, 2), EP_RING_OK);
  ASSERT_EQ(ep_ring_scaler_settle(scaler, 60000), EP_RING_OK);
  start_producer(0, 100'000);
  poll_for(50 * kMsNs);
  ASSERT_EQ(ep_ring_scale_down(scaler, 1), EP_RING_OK);
  while (asked_exits == 0) {
    ep_ring_scaler_poll(scaler);
    sleep_ns(kMsNs);
  }
  EXPECT_TRUE(WIFSIGNALED(last_status) && WTERMSIG(last_status) == SIGTERM) << last_status;
  book->stubborn = 0;
  drain();
  check_book(true);
  leave_all();
}

TEST_F(ScaleProcesses, WhoIgnoresSigtermTooIsKilled) {
  starter.grace_ms = 50;
  signal(SIGTERM, SIG_IGN);  // children inherit it
  open_scaler();
  book->stubborn = 1;
  ASSERT_EQ(ep_ring_scale_up(scaler, 1), EP_RING_OK);
  ASSERT_EQ(ep_ring_scaler_settle(scaler, 60000), EP_RING_OK);
  leave_all();
  signal(SIGTERM, SIG_DFL);
  EXPECT_TRUE(WIFSIGNALED(last_status) && WTERMSIG(last_status) == SIGKILL) << last_status;
  EXPECT_EQ(asked_exits, 1U);
}

// Asked before it has joined: it leaves when it has.
TEST_F(ScaleProcesses, AskedBeforeItJoins) {
  starter.start = [](void* self, const char* name) {
    auto& test = *static_cast<ScaleProcesses*>(self);
    return in_child([&test, name] {
      sleep_ns(100 * kMsNs);
      return ring_scale::work(test.ring, *test.book, "g", name);
    });
  };
  open_scaler();
  ASSERT_EQ(ep_ring_scale_up(scaler, 3), EP_RING_OK);
  leave_all();
  EXPECT_EQ(clean_exits, 3U);
}

// The consumer that has a place now is not the one that was asked there.
TEST_F(ScaleProcesses, TheNextOneInThePlaceIsNotMeant) {
  open_scaler();
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(ep_ring_scale_up(scaler, 1), EP_RING_OK);
    ASSERT_EQ(ep_ring_scaler_settle(scaler, 60000), EP_RING_OK);
    leave_all();
  }
  EXPECT_EQ(clean_exits, 3U);
  ep_ring_consumer_options options{};
  options.group = "g";
  ep_ring_consumer* consumer = nullptr;
  ASSERT_EQ(ep_ring_consumer_open(ring, &options, &consumer), EP_RING_OK);
  ep_ring_message message;
  EXPECT_EQ(ep_ring_get(consumer, 0, &message), EP_RING_EMPTY);
  EXPECT_EQ(ep_ring_rebalance(ring, "g"), EP_RING_OK);
  EXPECT_EQ(ep_ring_get(consumer, 0, &message), EP_RING_EMPTY);
  ep_ring_consumer_close(consumer, nullptr);
}

TEST_F(ScaleProcesses, BadInputIsOneClearError) {
  ep_ring_scaler* none = nullptr;
  EXPECT_EQ(ep_ring_scaler_open(ring, "nowhere", &starter, &none), EP_RING_MISSING);
  EXPECT_EQ(ep_ring_scaler_open(ring, "", &starter, &none), EP_RING_INVALID);
  EXPECT_EQ(ep_ring_scaler_open(ring, nullptr, &starter, &none), EP_RING_INVALID);
  EXPECT_EQ(ep_ring_scaler_open(ring, "g", nullptr, &none), EP_RING_INVALID);
  EXPECT_EQ(ep_ring_rebalance(ring, "nowhere"), EP_RING_MISSING);
  EXPECT_EQ(ep_ring_rebalance(ring, ""), EP_RING_INVALID);
  ep_ring_starter bad{};
  EXPECT_EQ(ep_ring_scaler_open(ring, "g", &bad, &none), EP_RING_INVALID);
  const char* const command[] = {"/nowhere/at-all", nullptr};
  bad.argv = command;
  bad.start = starter.start;
  EXPECT_EQ(ep_ring_scaler_open(ring, "g", &bad, &none), EP_RING_INVALID);
  bad.start = nullptr;
  ASSERT_EQ(ep_ring_scaler_open(ring, "g", &bad, &none), EP_RING_OK);
  errno = 0;
  EXPECT_EQ(ep_ring_scale_up(none, 2), EP_RING_SYSTEM);
  EXPECT_EQ(errno, ENOENT);
  ep_ring_scaler_stat nothing;
  ep_ring_scaler_read_stat(none, &nothing);
  EXPECT_EQ(nothing.running + nothing.waiting + nothing.leaving, 0U);
  ep_ring_scaler_close(none);
  ep_ring_scaler_close(nullptr);

  open_scaler();
  start_errno = EAGAIN;
  EXPECT_EQ(ep_ring_scale_up(scaler, 1), EP_RING_SYSTEM);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_EQ(stat().running, 0U);
  start_errno = 0;
  EXPECT_EQ(ep_ring_scale_up(scaler, 49), EP_RING_BUSY);
  EXPECT_EQ(ep_ring_scale_up(scaler, UINT32_MAX), EP_RING_BUSY);
  EXPECT_EQ(stat().running, 0U);
  EXPECT_EQ(ep_ring_scale_up(scaler, 0), EP_RING_OK);
  EXPECT_EQ(ep_ring_scale_down(scaler, 5), EP_RING_OK);
  EXPECT_EQ(ep_ring_scaler_poll(scaler), 0U);
}

// One that dies cannot be started again for a while: told each time, tried again, in the end there.
TEST_F(ScaleProcesses, AStartThatFailsIsTriedAgain) {
  open_scaler();
  ASSERT_EQ(ep_ring_scale_up(scaler, 1), EP_RING_OK);
  ASSERT_EQ(ep_ring_scaler_settle(scaler, 60000), EP_RING_OK);
  start_errno = ENFILE;
  ASSERT_EQ(kill(any_worker(0), SIGKILL), 0);
  while (failed_starts < 2) {
    ep_ring_scaler_poll(scaler);
    sleep_ns(kMsNs);
  }
  EXPECT_EQ(last_start_error, ENFILE);
  EXPECT_EQ(ep_ring_scaler_settle(scaler, 0), EP_RING_TIMEOUT);
  start_errno = 0;
  EXPECT_EQ(ep_ring_scaler_settle(scaler, 60000), EP_RING_OK);
  EXPECT_EQ(stat().joined, 1U);
}

// By a command, for a region with a name and for one without.
TEST(ScaleCommand, JoinsByItsEnvironment) {
  const std::string region = "scale-test-" + std::to_string(getpid());
  const std::string file = "/tmp/" + region + ".out";
  for (const char* name : {region.c_str(), static_cast<const char*>(nullptr)}) {
    ep_ring* ring = nullptr;
    ASSERT_EQ(ep_ring_create(name, nullptr, &ring), EP_RING_OK);
    ASSERT_EQ(ep_ring_group_create(ring, "g", nullptr), EP_RING_OK);
    ep_ring_starter starter{};
    const char* const command[] = {getenv("EP_RING_WORKER"), file.c_str(), nullptr};
    ASSERT_NE(command[0], nullptr) << "EP_RING_WORKER names scale_worker";
    setenv("EP_RING_GROUP", "of somebody else", 1);
    starter.argv = command;
    ep_ring_scaler* scaler = nullptr;
    ASSERT_EQ(ep_ring_scaler_open(ring, "g", &starter, &scaler), EP_RING_OK);
    ASSERT_EQ(ep_ring_scale_up(scaler, 3), EP_RING_OK);
    ASSERT_EQ(ep_ring_scaler_settle(scaler, 60000), EP_RING_OK);
    ep_ring_producer* producer = nullptr;
    ASSERT_EQ(ep_ring_producer_open(ring, &producer), EP_RING_OK);
    for (int i = 0; i < 1000; ++i) {
      ep_ring_buffer buffer;
      ASSERT_EQ(ep_ring_reserve(producer, 100, EP_RING_FOREVER, &buffer), EP_RING_OK);
      ASSERT_EQ(ep_ring_publish(producer, &buffer, nullptr, EP_RING_FOREVER, nullptr), EP_RING_OK);
    }
    ep_ring_group_stat group{};
    do {
      sleep_ns(kMsNs);
      ASSERT_TRUE(ep_ring_read_group(ring, 0, &group));
    } while (group.lag != 0);
    ASSERT_EQ(ep_ring_scale_down(scaler, 0), EP_RING_OK);
    ASSERT_EQ(ep_ring_scaler_settle(scaler, 60000), EP_RING_OK);
    ep_ring_scaler_close(scaler);
    ep_ring_producer_close(producer);
    ep_ring_detach(ring);
    EXPECT_EQ(name != nullptr ? ep_ring_remove(name) : EP_RING_OK, EP_RING_OK);
    std::vector<uint64_t> sequences;
    FILE* in = fopen(file.c_str(), "r");
    ASSERT_NE(in, nullptr);
    for (unsigned long long sequence; fscanf(in, "%llu", &sequence) == 1;) {
      sequences.push_back(sequence);
    }
    fclose(in);
    unlink(file.c_str());
    std::sort(sequences.begin(), sequences.end());
    ASSERT_EQ(sequences.size(), 1000U);
    for (size_t i = 0; i < sequences.size(); ++i) ASSERT_EQ(sequences[i], i + 1);
  }
}

}  // namespace
