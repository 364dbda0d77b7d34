// base/surplus_gauge.h: what nobody wanted for a window may go, and less after regret.
#include "base/surplus_gauge.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/units.h"

namespace elasticpool {
namespace {

constexpr uint64_t kRetain = 16 * kMiB;

// A tier that is used to the full and gives back what the gauge says.
template <uint64_t kWindowShare>
struct Tier {
  SurplusGauge<kWindowShare> gauge;
  uint64_t live = 0;
  uint64_t free = 0;
  uint64_t returned = 0;

  // From what is free first, else anew.
  void take(uint64_t bytes) {
    const uint64_t reused = std::min(free, bytes);
    live += bytes;
    free -= reused;
    gauge.note_taken(reused);
  }
  void come_and_go(uint64_t bytes) {
    for (uint64_t done = 0; done < bytes; done += kMiB) {
      give(kMiB);
      take(kMiB);
    }
  }
  uint64_t give(uint64_t bytes) {
    live -= bytes;
    free += bytes;
    const uint64_t going = gauge.note_freed(bytes, free, live, kRetain);
    EXPECT_LE(going, free);
    free -= going;
    returned += going;
    gauge.note_returned(going);
    return going;
  }
};

TEST(SurplusGauge, AfterAPeakAllButAWindowAndTheRestGoes) {
  Tier<8> tier;
  tier.take(kGiB);
  while (tier.live > 0) {
    tier.give(kMiB);
    const uint64_t window = std::max(tier.live / 8, kRetain / SurplusConstants::kLeastShare);
    // The present step and the one in which the window begins are in it as well.
    const uint64_t most = kRetain + window + 2 * window / SurplusConstants::kSteps + 2 * kMiB;
    EXPECT_LE(tier.free, most) << tier.live;
  }
  EXPECT_GE(tier.free, kRetain) << "the rest stays";
}

// What is free fits no request: as much as is in use stays all the same, and no more.
TEST(SurplusGauge, WhatComesAndGoesKeepsAsMuchAgain) {
  Tier<8> tier;
  tier.take(400 * kMiB);
  tier.come_and_go(2 * kGiB);  // it learns how much that is
  tier.free = kGiB;
  tier.come_and_go(4 * kGiB);
  EXPECT_GE(tier.free, kRetain + 380 * kMiB);
  EXPECT_LE(tier.free, kRetain + 400 * kMiB);
}

TEST(SurplusGauge, TheTurnoverEndsWithTheProgramsTaking) {
  Tier<8> tier;
  tier.take(400 * kMiB);
  tier.come_and_go(2 * kGiB);  // it learns how much that is
  tier.free = kGiB;
  tier.come_and_go(4 * kGiB);
  while (tier.live > 40 * kMiB) tier.give(kMiB);
  EXPECT_LE(tier.free, kRetain + 40 * kMiB);
}

TEST(SurplusGauge, OneFreeMayBeLongerThanTheWindow) {
  Tier<8> tier;
  tier.take(kGiB);
  tier.give(kGiB);
  EXPECT_LE(tier.free, 3 * kRetain);
  EXPECT_GE(tier.free, kRetain);
}

TEST(SurplusGauge, AProgramThatSwingsWithinTheWindowKeepsAll) {
  Tier<4> tier;
  tier.take(400 * kMiB);
  for (int swing = 0; swing < 100; ++swing) {
    // Less than a window comes back, then all of it is wanted again.
    while (tier.live > 320 * kMiB) tier.give(kMiB);
    tier.take(80 * kMiB);
  }
  EXPECT_EQ(tier.returned, 0U);
}

TEST(SurplusGauge, WhatLiesFreeAllTheTimeGoesButForTheTurnover) {
  Tier<4> tier;
  tier.take(400 * kMiB);
  const auto swing = [&tier] {
    while (tier.live > 320 * kMiB) tier.give(kMiB);
    tier.take(80 * kMiB);
  };
  for (int i = 0; i < 100; ++i) swing();
  tier.free += 600 * kMiB;  // nobody ever takes these
  for (int i = 0; i < 100; ++i) swing();
  // The turnover is at most what is in use, 320 MiB where that is least.
  EXPECT_EQ(tier.returned, (600 - 320) * kMiB - kRetain);
}

TEST(SurplusGauge, RegretStaysUntilMoreGoes) {
  Tier<8> tier;
  tier.gauge.note_regret(300 * kMiB, 100 * kMiB);  // counts as the peak
  tier.take(kGiB);
  tier.give(216 * kMiB);
  // 100 MiB more than in the first test, less a quarter of what went.
  EXPECT_GE(tier.free, kRetain + 100 * kMiB - tier.returned / SurplusConstants::kForgetShare);
  while (tier.live > 0) tier.give(kMiB);
  EXPECT_LE(tier.free, 3 * kRetain) << "four times the regret went since: it is forgotten";
}

TEST(SurplusGauge, WhatStayedMayGoLater) {
  SurplusGauge<8> gauge;
  const uint64_t going = gauge.note_freed(kGiB, kGiB, 0, kRetain);
  EXPECT_GT(going, kGiB / 2);
  gauge.note_stayed(going - kMiB);
  EXPECT_GE(gauge.note_freed(kRetain, kGiB + kRetain - kMiB, 0, kRetain), going - kMiB);
}

TEST(SurplusGauge, OthersGetWhatLiesIdleAndNotWhatIsBusy) {
  constexpr uint64_t kStep = SurplusConstants::kTradeWindowBytes / 4;
  SurplusGauge<8> gauge;
  EXPECT_EQ(gauge.note_wanted(kStep, kGiB), kStep);
  EXPECT_EQ(gauge.note_wanted(kStep, kMiB), kMiB);
  gauge.note_taken(100 * kMiB);
  EXPECT_EQ(gauge.note_wanted(kStep, 100 * kMiB), 0U);
  EXPECT_EQ(gauge.note_wanted(kStep, 101 * kMiB), kMiB) << "the end of the first window";
  for (int i = 0; i < 4; ++i) EXPECT_EQ(gauge.note_wanted(kStep, 100 * kMiB), 0U) << i;
  EXPECT_EQ(gauge.note_wanted(kStep, 100 * kMiB), kStep) << "idle for a whole window";
}

TEST(SurplusGauge, ResetForgets) {
  Tier<8> tier;
  tier.gauge.note_regret(100 * kMiB, 100 * kMiB);
  tier.gauge.reset();
  tier.take(kGiB);
  tier.give(200 * kMiB);
  EXPECT_LE(tier.free, kRetain + 130 * kMiB);
}

}  // namespace
}  // namespace elasticpool
