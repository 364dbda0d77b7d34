// buddy/huge_payoff.h: huge pages are tried while they cost less than the small ones they stand
// for.
#include "buddy/huge_payoff.h"

#include <gtest/gtest.h>

namespace elasticpool {
namespace {

constexpr size_t kPages = 512;

// Frames until the next one that should be tried, that one not counted.
uint32_t frames_until_try(HugePayoff& payoff) {
  uint32_t frames = 0;
  while (!payoff.should_try()) ++frames;
  return frames;
}

TEST(HugePayoff, GoesOnWhileItPays) {
  HugePayoff payoff;
  EXPECT_FALSE(payoff.knows_small());
  payoff.note_small(1000);
  EXPECT_TRUE(payoff.knows_small());
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(payoff.should_try());
    payoff.note_huge(1000 * kPages, kPages);
  }
}

TEST(HugePayoff, PausesLongerEachTimeItDoesNot) {
  HugePayoff payoff;
  payoff.note_small(1000);
  uint32_t expected = HugePayoff::kFirstPause;
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(payoff.should_try());
    payoff.note_huge(1000 * kPages + 1, kPages);
    EXPECT_EQ(frames_until_try(payoff), expected) << i;
    expected = expected * 4 < HugePayoff::kLongestPause ? expected * 4 : HugePayoff::kLongestPause;
  }
  // One that pays ends the doubt.
  payoff.note_huge(1, kPages);
  payoff.note_huge(1000 * kPages + 1, kPages);
  EXPECT_EQ(frames_until_try(payoff), HugePayoff::kFirstPause);
}

TEST(HugePayoff, OfThoseThatPayFewAreTimed) {
  HugePayoff payoff;
  payoff.note_small(1000);
  uint32_t timed = 0;
  for (uint32_t i = 0; i < 10 * HugePayoff::kMeasuredEach; ++i) {
    EXPECT_TRUE(payoff.should_measure(false));
    if (!payoff.should_measure(true)) continue;
    payoff.note_huge(1, kPages);
    ++timed;
  }
  EXPECT_EQ(timed, 10U);
  // The first after a pause is: it decides on the next.
  EXPECT_TRUE(payoff.should_measure(true));
  EXPECT_FALSE(payoff.should_measure(true));
  payoff.note_huge(1000 * kPages + 1, kPages);
  frames_until_try(payoff);
  EXPECT_TRUE(payoff.should_measure(true));
}

TEST(HugePayoff, OneInterruptedTouchCountsForLittle) {
  HugePayoff payoff;
  for (int i = 0; i < 100; ++i) payoff.note_small(1000);
  payoff.note_small(1'000'000'000);
  payoff.note_huge(1400 * kPages, kPages);
  EXPECT_EQ(frames_until_try(payoff), HugePayoff::kFirstPause) << "a mean of at most 1375";
  for (int i = 0; i < 100; ++i) payoff.note_small(3000);
  payoff.note_huge(2900 * kPages, kPages);
  EXPECT_TRUE(payoff.should_try()) << "the mean follows";
}

}  // namespace
}  // namespace elasticpool
