// How evenly a group's load is shared: consumers of like speed, with a backlog and without, after
// joins, leaves and a death. Speed is made by sleeping, so that it does not depend on who else uses
// the CPUs; a window in which somebody was held up all the same is measured again.
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <vector>

#include "scale_world.h"

using ring_scale::Book;
using ring_scale::in_child;
using ring_scale::now_ns;
using ring_scale::sleep_ns;

namespace {

constexpr uint64_t kMsNs = 1'000'000;
constexpr double kEven = 0.05;

struct Load {
  const char* text;
  uint64_t keys;
  uint64_t pause_ns;  // of the producer after 32 messages
  uint32_t batch_ns;  // of a consumer for up to 16
};

void PrintTo(const Load& load, std::ostream* out) { *out << load.text; }

class ScaleShare : public ::testing::TestWithParam<Load> {
 protected:
  void SetUp() override {
    ep_ring_options options;
    ep_ring_options_init(&options);
    options.pool_bytes = 8 << 20;
    options.slots = 8192;
    ASSERT_EQ(ep_ring_create(nullptr, &options, &ring), EP_RING_OK);
    ASSERT_EQ(ep_ring_group_create(ring, "g", nullptr), EP_RING_OK);
    book = ring_scale::make_book();
    ASSERT_NE(book, nullptr);
    book->batch_ns = GetParam().batch_ns;
    ep_ring_starter starter{};
    starter.context = this;
    starter.start = [](void* self, const char* name) {
      auto& test = *static_cast<ScaleShare*>(self);
      return in_child([&test, name] { return test.work(name); });
    };
    ASSERT_EQ(ep_ring_scaler_open(ring, "g", &starter, &scaler), EP_RING_OK);
    producer = in_child(
        [this] { return ring_scale::produce(ring, *book, GetParam().keys, GetParam().pause_ns); });
  }
  void TearDown() override {
    book->stop = 1;
    waitpid(producer, nullptr, 0);
    ep_ring_scale_down(scaler, 0);
    EXPECT_EQ(ep_ring_scaler_settle(scaler, 60000), EP_RING_OK);
    EXPECT_EQ(book->faults, 0U);
    ep_ring_scaler_close(scaler);
    ep_ring_detach(ring);
    ring_scale::drop_book(book);
  }
  int work(const char* name) { return ring_scale::work(ring, *book, "g", name); }

  void settle() { ASSERT_EQ(ep_ring_scaler_settle(scaler, 60000), EP_RING_OK); }
  // The messages of those that worked all through a window.
  std::vector<uint64_t> window(uint64_t messages) {
    const uint32_t workers = book->workers;
    std::vector<uint64_t> before(workers);
    for (uint32_t i = 0; i < workers; ++i) before[i] = book->worker[i].messages;
    uint64_t sum = 0;
    std::vector<uint64_t> counts;
    while (sum < messages) {
      sleep_ns(5 * kMsNs);
      counts.clear();
      sum = 0;
      for (uint32_t i = 0; i < workers; ++i) {
        const uint64_t count = book->worker[i].messages - before[i];
        if (count != 0) counts.push_back(count);
        sum += count;
      }
    }
    return counts;
  }
  static double unevenness(const std::vector<uint64_t>& counts) {
    uint64_t sum = 0;
    for (const uint64_t count : counts) sum += count;
    const double mean = static_cast<double>(sum) / static_cast<double>(counts.size());
    double worst = 0;
    for (const uint64_t count : counts) {
      worst = std::max(worst, std::abs(static_cast<double>(count) - mean) / mean);
    }
    return worst;
  }
  void expect_even(size_t members, const char* after) {
    double best = 1;
    for (int attempt = 0; attempt < 5 && best > kEven; ++attempt) {
      const std::vector<uint64_t> counts = window(15'000 * members);
      const double off = counts.size() == members ? unevenness(counts) : 1;
      best = std::min(best, off);
      printf("  %s, %s: %zu members, off by %.1f %%\n", GetParam().text, after, counts.size(),
             off * 100);
    }
    EXPECT_LE(best, kEven) << after;
  }

  ep_ring* ring = nullptr;
  Book* book = nullptr;
  ep_ring_scaler* scaler = nullptr;
  pid_t producer = 0;
};

TEST_P(ScaleShare, EvenAfterJoinsLeavesAndADeath) {
  ASSERT_EQ(ep_ring_scale_up(scaler, 2), EP_RING_OK);
  settle();
  expect_even(2, "start");
  ASSERT_EQ(ep_ring_scale_up(scaler, 1), EP_RING_OK);
  settle();
  expect_even(3, "a join");
  ASSERT_EQ(ep_ring_scale_up(scaler, 1), EP_RING_OK);
  settle();
  ASSERT_EQ(ep_ring_rebalance(ring, "g"), EP_RING_OK);
  expect_even(4, "a join, rebalanced");
  ASSERT_EQ(ep_ring_scale_down(scaler, 3), EP_RING_OK);
  settle();
  expect_even(3, "a leave");
  ASSERT_EQ(kill(book->worker[0].process, SIGKILL), 0);
  // Nobody starts it again yet: the others notice on their own.
  sleep_ns(300 * kMsNs);
  expect_even(2, "a death");
  settle();
  expect_even(3, "it was started again");
}

INSTANTIATE_TEST_SUITE_P(Loads, ScaleShare,
                         ::testing::Values(Load{"backlog, no keys", 0, 0, 200'000},
                                           Load{"backlog, keys", UINT64_MAX, 0, 200'000},
                                           Load{"idle at times, no keys", 0, 400'000, 20'000},
                                           Load{"idle at times, keys", UINT64_MAX, 400'000,
                                                20'000}));

}  // namespace
