// base/held_memory.h: what is held, what may be held, and the clock that runs in bytes.
#include "base/held_memory.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "base/units.h"

namespace elasticpool {
namespace {

class HeldMemoryTest : public testing::Test {
 protected:
  void SetUp() override { reset(); }
  void TearDown() override { reset(); }

  static void reset() {
    discharge(held_bytes());
    limit_held_memory(UINT64_MAX, 0);
    set_next_look(INT64_MAX);
  }
  static int64_t until_look_bytes() {
    return g_held_memory.until_look_bytes.load(std::memory_order_relaxed);
  }
};

TEST_F(HeldMemoryTest, IsWhatWasChargedAndNotDischarged) {
  EXPECT_TRUE(charge(3 * kMiB, Charge::kBlock));
  EXPECT_TRUE(charge(2 * kMiB, Charge::kSlab));
  EXPECT_TRUE(charge_quietly(kMiB, Charge::kBlock));
  EXPECT_EQ(held_bytes(), 6 * kMiB);
  discharge(kMiB);
  correct_held(-static_cast<int64_t>(2 * kMiB));
  correct_held(5);
  EXPECT_EQ(held_bytes(), 3 * kMiB + 5);
}

TEST_F(HeldMemoryTest, ABlockMayReachTheLimitAndNotPassIt) {
  limit_held_memory(10, 4);
  EXPECT_TRUE(charge(10, Charge::kBlock));
  EXPECT_FALSE(charge(1, Charge::kBlock));
  EXPECT_EQ(held_bytes(), 10U) << "nothing was charged";
  EXPECT_TRUE(charge(0, Charge::kBlock));
  discharge(1);
  EXPECT_FALSE(charge(2, Charge::kBlock));
  EXPECT_TRUE(charge(1, Charge::kBlock));
}

TEST_F(HeldMemoryTest, SlabsMayTakeFromTheReserve) {
  limit_held_memory(10, 4);
  EXPECT_TRUE(charge(14, Charge::kSlab));
  EXPECT_FALSE(charge(1, Charge::kSlab));
  EXPECT_FALSE(charge(1, Charge::kBlock));
  EXPECT_TRUE(charge(0, Charge::kBlock)) << "over the limit, but nothing more";
  EXPECT_TRUE(charge(0, Charge::kSlab));
  EXPECT_EQ(held_bytes(), 14U);
  limit_held_memory(0, 0);
  EXPECT_FALSE(charge(1, Charge::kSlab));
}

// A sum that goes around would be a small limit.
TEST_F(HeldMemoryTest, AReserveOnTopOfTheLargestLimitIsNoLimit) {
  limit_held_memory(UINT64_MAX - 3, 4);
  EXPECT_TRUE(charge(kGiB, Charge::kSlab));
  limit_held_memory(UINT64_MAX - 4, 4);
  EXPECT_EQ(g_held_memory.limit_bytes[1].load(), UINT64_MAX);
  EXPECT_EQ(g_held_memory.limit_bytes[0].load(), UINT64_MAX - 4);
  limit_held_memory(UINT64_MAX, UINT64_MAX);
  EXPECT_TRUE(charge(kGiB, Charge::kBlock));
  EXPECT_TRUE(charge(kGiB, Charge::kSlab));
}

TEST_F(HeldMemoryTest, TheClockRunsWithGrowthAlone) {
  EXPECT_FALSE(look_is_due());
  set_next_look(10);
  EXPECT_TRUE(charge(10, Charge::kSlab));
  EXPECT_FALSE(look_is_due()) << "after so much, not with it";
  EXPECT_TRUE(charge_quietly(100, Charge::kBlock));
  correct_held(100);
  discharge(50);
  EXPECT_EQ(until_look_bytes(), 0);
  tick_growth(1);
  EXPECT_TRUE(look_is_due());
  EXPECT_TRUE(charge(5, Charge::kBlock));
  EXPECT_EQ(until_look_bytes(), -6) << "how much too late";
  set_next_look(0);
  EXPECT_FALSE(look_is_due());
}

TEST_F(HeldMemoryTest, WhatIsRefusedIsNoGrowth) {
  limit_held_memory(10, 0);
  set_next_look(5);
  EXPECT_FALSE(charge(11, Charge::kBlock));
  EXPECT_FALSE(charge(11, Charge::kSlab));
  EXPECT_EQ(until_look_bytes(), 5);
}

TEST_F(HeldMemoryTest, ManyThreadsNeverPassTheLimit) {
  constexpr uint64_t kLimit = 1000;
  constexpr int kRounds = 20'000;
  limit_held_memory(kLimit, 0);
  set_next_look(0);
  std::atomic<uint64_t> mine{0};
  std::atomic<uint64_t> most{0};
  std::atomic<int64_t> grown{0};
  const auto come_and_go = [&](uint64_t bytes) {
    for (int i = 0; i < kRounds; ++i) {
      if (!charge(bytes, Charge::kBlock)) continue;
      grown += static_cast<int64_t>(bytes);
      const uint64_t now = mine += bytes;
      if (now > most) most = now;
      mine -= bytes;
      discharge(bytes);
    }
  };
  std::vector<std::thread> threads;
  for (const uint64_t bytes : {300UL, 400UL, 500UL, 600UL})
    threads.emplace_back(come_and_go, bytes);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(held_bytes(), 0U);
  EXPECT_LE(most, kLimit);
  EXPECT_EQ(until_look_bytes(), -grown);
}

}  // namespace
}  // namespace elasticpool
