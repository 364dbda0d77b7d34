// pressure/tell_pace.h: at the ends of each time and of each growth.
#include "pressure/tell_pace.h"

#include <gtest/gtest.h>

namespace elasticpool {
namespace {

// Of which a share is more than the least.
constexpr uint64_t kLimit = 1 * kGiB;
constexpr uint64_t kSoonBytes = kLimit / TellPace::kTellShare;
static_assert(kSoonBytes > TellPace::kLeastTellBytes);

// Asked at `kStartMs`, when `kUsed` was used.
constexpr uint64_t kStartMs = 5000;
constexpr uint64_t kUsed = 800 * kMiB;
TellPace asked() {
  TellPace pace;
  EXPECT_TRUE(pace.take(kStartMs, kUsed, kLimit)) << "the first time";
  return pace;
}

TEST(TellPace, AfterTime) {
  TellPace pace = asked();
  EXPECT_FALSE(pace.take(kStartMs, kUsed, kLimit));
  EXPECT_FALSE(pace.take(kStartMs + TellPace::kTellMs - 1, kUsed, kLimit));
  EXPECT_TRUE(pace.take(kStartMs + TellPace::kTellMs, kUsed, kLimit));
  EXPECT_FALSE(pace.take(kStartMs + 2 * TellPace::kTellMs - 1, kUsed, kLimit)) << "from then on";
  EXPECT_TRUE(pace.take(kStartMs + 2 * TellPace::kTellMs, 0, kLimit)) << "whatever has gone";
}

TEST(TellPace, SoonerAfterGrowth) {
  constexpr uint64_t kSoonMs = kStartMs + TellPace::kTellSoonMs;
  TellPace pace = asked();
  EXPECT_FALSE(pace.take(kSoonMs - 1, UINT64_MAX, kLimit)) << "never that soon";
  EXPECT_FALSE(pace.take(kSoonMs, kUsed + kSoonBytes - 1, kLimit));
  EXPECT_TRUE(pace.take(kSoonMs, kUsed + kSoonBytes, kLimit));
  EXPECT_FALSE(pace.take(kSoonMs + TellPace::kTellSoonMs, kUsed + kSoonBytes, kLimit))
      << "grown since it was asked";
}

TEST(TellPace, GrowthIsFromTheLeastThatWasUsed) {
  constexpr uint64_t kSoonMs = kStartMs + TellPace::kTellSoonMs;
  TellPace pace = asked();
  EXPECT_FALSE(pace.take(kSoonMs, kUsed - kSoonBytes, kLimit));
  EXPECT_FALSE(pace.take(kSoonMs, kUsed - 1, kLimit));
  EXPECT_TRUE(pace.take(kSoonMs, kUsed, kLimit));
}

TEST(TellPace, OfASmallLimitGrowthIsAMebibyte) {
  constexpr uint64_t kSoonMs = kStartMs + TellPace::kTellSoonMs;
  for (const uint64_t limit : {uint64_t{0}, kMiB, TellPace::kTellShare * kMiB}) {
    TellPace pace;
    EXPECT_TRUE(pace.take(kStartMs, kUsed, limit));
    EXPECT_FALSE(pace.take(kSoonMs, kUsed + kMiB - 1, limit));
    EXPECT_TRUE(pace.take(kSoonMs, kUsed + kMiB, limit));
  }
}

// However much comes and goes.
TEST(TellPace, AHundredTimesASecondAtMost) {
  TellPace pace;
  unsigned asked = 0;
  for (uint64_t ms = 0; ms < 1000; ++ms) {
    asked += pace.take(kStartMs + ms, ms % 2 == 0 ? kLimit : 0, kLimit) ? 1 : 0;
  }
  EXPECT_EQ(asked, 100U);
}

}  // namespace
}  // namespace elasticpool
