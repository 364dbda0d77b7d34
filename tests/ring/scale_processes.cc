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
 protected:
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

}  // namespace
