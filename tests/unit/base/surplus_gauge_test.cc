// base/surplus_gauge.h: what nobody wanted for a window may go, and less after regret.
#include "base/surplus_gauge.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/units.h"

namespace elasticpool {
namespace {

constexpr uint64_t kRetain = 16 * kMiB;

// A tier that is used to the full and gives back what the gauge says.
template <uint64_t kWindowShare, uint64_t kRestShare>
struct Tier {
  SurplusGauge<kWindowShare, kRestShare> gauge;
  uint64_t live = 0;
  uint64_t free = 0;
  uint64_t returned = 0;

  void take(uint64_t bytes) {
    live += bytes;
    free -= std::min(free, bytes);
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
  Tier<8, 0> tier;
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

TEST(SurplusGauge, TheShareOfWhatIsInUseStaysToo) {
  Tier<8, 2> tier;
  tier.take(kGiB);
  while (tier.live > 512 * kMiB) tier.give(kMiB);
  EXPECT_GE(tier.free, kRetain + 256 * kMiB);
  EXPECT_LE(tier.free, kRetain + 256 * kMiB + 90 * kMiB);
}

TEST(SurplusGauge, OneFreeMayBeLongerThanTheWindow) {
  Tier<8, 0> tier;
  tier.take(kGiB);
  tier.give(kGiB);
  EXPECT_LE(tier.free, 3 * kRetain);
  EXPECT_GE(tier.free, kRetain);
}

TEST(SurplusGauge, AProgramThatSwingsWithinTheWindowKeepsAll) {
  Tier<4, 0> tier;
  tier.take(400 * kMiB);
  for (int swing = 0; swing < 100; ++swing) {
    // Less than a window comes back, then all of it is wanted again.
    while (tier.live > 320 * kMiB) tier.give(kMiB);
    tier.take(80 * kMiB);
  }
  EXPECT_EQ(tier.returned, 0U);
}

TEST(SurplusGauge, WhatLiesFreeAllTheTimeGoesWhileOthersComeAndGo) {
  Tier<4, 0> tier;
  tier.take(400 * kMiB);
  tier.free = 100 * kMiB;  // nobody ever takes these
  for (int swing = 0; swing < 100; ++swing) {
    while (tier.live > 320 * kMiB) tier.give(kMiB);
    tier.live += 80 * kMiB;
    tier.free -= 80 * kMiB;
  }
  EXPECT_EQ(tier.returned, 100 * kMiB - kRetain);
}

TEST(SurplusGauge, RegretStaysUntilMoreGoes) {
  Tier<8, 0> tier;
  tier.gauge.note_regret(300 * kMiB, 100 * kMiB);  // counts as the peak
  tier.take(kGiB);
  tier.give(216 * kMiB);
  // 100 MiB more than in the first test, less a quarter of what went.
  EXPECT_GE(tier.free, kRetain + 100 * kMiB - tier.returned / SurplusConstants::kForgetShare);
  while (tier.live > 0) tier.give(kMiB);
  EXPECT_LE(tier.free, 3 * kRetain) << "four times the regret went since: it is forgotten";
}

TEST(SurplusGauge, WhatStayedMayGoLater) {
  SurplusGauge<8, 0> gauge;
  const uint64_t going = gauge.note_freed(kGiB, kGiB, 0, kRetain);
  EXPECT_GT(going, kGiB / 2);
  gauge.note_stayed(going - kMiB);
  EXPECT_GE(gauge.note_freed(kRetain, kGiB + kRetain - kMiB, 0, kRetain), going - kMiB);
}

TEST(SurplusGauge, ResetForgets) {
  Tier<8, 0> tier;
  tier.gauge.note_regret(100 * kMiB, 100 * kMiB);
  tier.gauge.reset();
  tier.take(kGiB);
  tier.give(200 * kMiB);
  EXPECT_LE(tier.free, kRetain + 130 * kMiB);
}

}  // namespace
}  // namespace elasticpool
