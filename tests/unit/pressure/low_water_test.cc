// pressure/low_water.h: what was free all the time may go, and waiting longer after regret.
#include "pressure/low_water.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace elasticpool {
namespace {

TEST(LowWater, OnlyWhatWasFreeForTheWholeWindowGoes) {
  LowWater low;
  EXPECT_EQ(low.observe(100, 0, 500), 0U);
  EXPECT_EQ(low.observe(70, 250, 500), 0U);
  EXPECT_EQ(low.observe(90, 499, 500), 0U);
  // The first window began with nothing known: nothing goes.
  EXPECT_EQ(low.observe(100, 500, 500), 0U);
  EXPECT_EQ(low.observe(80, 750, 500), 0U);
  EXPECT_EQ(low.observe(100, 1000, 500), 80U);
  EXPECT_EQ(low.observe(60, 1250, 500), 0U);
  EXPECT_EQ(low.observe(40, 1500, 500), 40U) << "a window forgets the one before";
  EXPECT_EQ(low.observe(90, 1750, 500), 0U);
  EXPECT_EQ(low.observe(100, 2000, 500), 90U) << "its last figure as well";
  EXPECT_EQ(low.observe(0, 2250, 500), 0U);
  EXPECT_EQ(low.observe(100, 2500, 500), 0U) << "all of it was in use meanwhile";
}

TEST(LowWater, AProgramThatSwingsWithinTheWindowKeepsAll) {
  LowWater low;
  size_t gone = 0;
  // Full once in 400 ms, free else: of a window of 500 ms the least is 0.
  for (uint64_t now_ms = 0; now_ms < 20'000; now_ms += 100) {
    gone += low.observe(now_ms / 100 % 4 == 0 ? 0 : 1000, now_ms, 500);
  }
  EXPECT_EQ(gone, 0U);
}

TEST(Patience, DoublesWithRegretUpToABound) {
  Patience patience;
  EXPECT_EQ(patience.ms(), Patience::kLeastMs);
  constexpr uint64_t kBefore = 100 * Patience::kRegretBytes;
  patience.observe(kBefore, 50);
  EXPECT_EQ(patience.ms(), Patience::kLeastMs) << "of the time before";
  patience.observe(kBefore + Patience::kRegretBytes - 1, 100);
  EXPECT_EQ(patience.ms(), Patience::kLeastMs) << "that little may be chance";
  uint64_t regretted_bytes = kBefore;
  for (uint64_t i = 1; i <= 10; ++i) {
    regretted_bytes += Patience::kRegretBytes;
    patience.observe(regretted_bytes, 100 * i);
    EXPECT_EQ(patience.ms(), std::min(Patience::kLeastMs << i, Patience::kMostMs)) << i;
  }
}

TEST(Patience, ForgetsAfterALongTime) {
  Patience patience;
  patience.observe(0, 0);
  patience.observe(Patience::kRegretBytes, 0);
  patience.observe(2 * Patience::kRegretBytes, 0);
  const uint64_t before_ms = patience.ms();
  const uint64_t long_ms = Patience::kForgetWindows * before_ms;
  patience.observe(2 * Patience::kRegretBytes, long_ms - 1);
  EXPECT_EQ(patience.ms(), before_ms);
  patience.observe(2 * Patience::kRegretBytes, long_ms);
  EXPECT_EQ(patience.ms(), before_ms / 2);
  for (uint64_t i = 2; i < 10; ++i) patience.observe(2 * Patience::kRegretBytes, i * long_ms);
  EXPECT_EQ(patience.ms(), Patience::kLeastMs);
}

}  // namespace
}  // namespace elasticpool
