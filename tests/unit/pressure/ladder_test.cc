// pressure/ladder.h: against arithmetic that cannot overflow, over all small limits and at the
// ends.
#include "pressure/ladder.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace elasticpool {
namespace {

using Wide = unsigned __int128;

constexpr unsigned kSeed = 20261122;
constexpr uint8_t kPercents[][4] = {{70, 80, 90, 95}, {1, 2, 3, 4},     {97, 98, 99, 100},
                                    {1, 50, 99, 100}, {2, 4, 50, 90},   {3, 4, 5, 6},
                                    {10, 11, 12, 13}, {25, 50, 75, 100}};
constexpr PressureLevel kLevels[] = {PressureLevel::kNone, PressureLevel::kWarning,
                                     PressureLevel::kHigh, PressureLevel::kCritical,
                                     PressureLevel::kEmergency};

size_t index_of(PressureLevel level) { return static_cast<size_t>(level); }

uint64_t naive_line(uint64_t limit, unsigned percent) {
  return static_cast<uint64_t>(Wide{limit} * percent / 100);
}

// Whether a level that was reached is held: above two per cent below its line. The lowest lines,
// below which there is no such place, have it at one per cent; and the line itself is never below.
bool naive_holds(uint64_t used, uint64_t limit, unsigned percent) {
  const unsigned left_at = percent <= kSlackPercent ? 1 : percent - kSlackPercent;
  return used > naive_line(limit, left_at) || used >= naive_line(limit, percent);
}

PressureLevel naive_level(const uint8_t (&percents)[4], uint64_t used, uint64_t limit,
                          PressureLevel before) {
  PressureLevel level = PressureLevel::kNone;
  for (size_t i = 1; i < kPressureLevels; ++i) {
    const unsigned percent = percents[i - 1];
    const bool is_in = index_of(before) >= i ? naive_holds(used, limit, percent)
                                             : used >= naive_line(limit, percent);
    if (is_in) level = kLevels[i];
  }
  return level;
}

// Numbers around which something may break.
std::vector<uint64_t> edges() {
  std::vector<uint64_t> all;
  for (const uint64_t at : {uint64_t{0}, uint64_t{100}, uint64_t{256} * kKiB, kGiB,
                            UINT64_MAX / 100, UINT64_MAX / 32, uint64_t{1} << 63, UINT64_MAX}) {
    for (uint64_t distance = 0; distance < 3; ++distance) {
      if (at >= distance) all.push_back(at - distance);
      if (at <= UINT64_MAX - distance) all.push_back(at + distance);
    }
  }
  return all;
}

TEST(PercentOf, IsExactWithoutOverflow) {
  std::mt19937_64 random(kSeed);
  for (unsigned percent = 0; percent <= 100; ++percent) {
    for (const uint64_t bytes : edges()) {
      ASSERT_EQ(percent_of(bytes, percent), naive_line(bytes, percent)) << bytes << ' ' << percent;
    }
    for (int i = 0; i < 1000; ++i) {
      const uint64_t bytes = random() >> random() % 64;
      ASSERT_EQ(percent_of(bytes, percent), naive_line(bytes, percent)) << bytes << ' ' << percent;
    }
  }
}

TEST(Ladder, HasItsLines) {
  const PressureLadder ladder(kPercents[0]);
  EXPECT_EQ(ladder.line_bytes(PressureLevel::kNone, 1000), 0U);
  EXPECT_EQ(ladder.line_bytes(PressureLevel::kWarning, 1000), 700U);
  EXPECT_EQ(ladder.line_bytes(PressureLevel::kHigh, 1000), 800U);
  EXPECT_EQ(ladder.line_bytes(PressureLevel::kCritical, 1000), 900U);
  EXPECT_EQ(ladder.line_bytes(PressureLevel::kEmergency, 1000), 950U);
  EXPECT_EQ(ladder.line_bytes(PressureLevel::kEmergency, 0), 0U);
}

TEST(Ladder, IsLeftBelowTheLine) {
  const PressureLadder ladder(kPercents[0]);
  EXPECT_EQ(ladder.level_of(799, 1000, PressureLevel::kNone), PressureLevel::kWarning);
  EXPECT_EQ(ladder.level_of(800, 1000, PressureLevel::kNone), PressureLevel::kHigh);
  EXPECT_EQ(ladder.level_of(781, 1000, PressureLevel::kHigh), PressureLevel::kHigh);
  EXPECT_EQ(ladder.level_of(780, 1000, PressureLevel::kHigh), PressureLevel::kWarning);
  EXPECT_EQ(ladder.level_of(781, 1000, PressureLevel::kWarning), PressureLevel::kWarning);
  EXPECT_EQ(ladder.level_of(790, 1000, PressureLevel::kEmergency), PressureLevel::kHigh)
      << "all below the one that is left are held as well";
  EXPECT_EQ(ladder.level_of(680, 1000, PressureLevel::kEmergency), PressureLevel::kNone);
}

TEST(Ladder, LevelsOfAllSmallLimits) {
  for (const auto& percents : kPercents) {
    const PressureLadder ladder(percents);
    for (uint64_t limit = 0; limit <= 210; ++limit) {
      for (uint64_t used = 0; used <= limit + 2; ++used) {
        for (const PressureLevel before : kLevels) {
          ASSERT_EQ(ladder.level_of(used, limit, before),
                    naive_level(percents, used, limit, before))
              << used << " of " << limit << ", first line at " << int{percents[0]} << ", was "
              << index_of(before);
        }
      }
    }
  }
}

TEST(Ladder, LevelsAtTheEnds) {
  for (const auto& percents : kPercents) {
    const PressureLadder ladder(percents);
    for (const uint64_t limit : edges()) {
      for (const uint64_t used : edges()) {
        for (const PressureLevel before : kLevels) {
          ASSERT_EQ(ladder.level_of(used, limit, before),
                    naive_level(percents, used, limit, before));
        }
      }
    }
  }
}

// Whatever was before: the more is used the higher, and a second look changes nothing.
TEST(Ladder, RisesAndComesToRest) {
  for (const auto& percents : kPercents) {
    const PressureLadder ladder(percents);
    for (const PressureLevel before : kLevels) {
      PressureLevel last = PressureLevel::kNone;
      for (uint64_t used = 0; used <= 1001; ++used) {
        const PressureLevel level = ladder.level_of(used, 1000, before);
        ASSERT_GE(level, last);
        ASSERT_GE(level, ladder.level_of(used, 1000, PressureLevel::kNone));
        ASSERT_EQ(ladder.level_of(used, 1000, level), level);
        last = level;
      }
      ASSERT_EQ(last, PressureLevel::kEmergency);
    }
  }
}

TEST(Ladder, ALimitOfNothingIsFull) {
  for (const auto& percents : kPercents) {
    const PressureLadder ladder(percents);
    for (const uint64_t used : {uint64_t{0}, uint64_t{1}, UINT64_MAX}) {
      EXPECT_EQ(ladder.level_of(used, 0, PressureLevel::kNone), PressureLevel::kEmergency);
      EXPECT_EQ(ladder.wanted_bytes(PressureLevel::kHigh, used, 0), used);
    }
  }
}

// However low its line is.
TEST(Ladder, OfAnEmptyHeapThereIsNoLevel) {
  for (const auto& percents : kPercents) {
    for (const PressureLevel before : kLevels) {
      EXPECT_EQ(PressureLadder(percents).level_of(0, kGiB, before), PressureLevel::kNone)
          << int{percents[0]} << ' ' << index_of(before);
    }
  }
}

// All that is wanted leaves the level, and those above it; a byte less does not. `limit`: of 100
// bytes at least, or a line may lie at nothing, which nobody can be below.
void expect_just_enough(const uint8_t (&percents)[4], uint64_t used, uint64_t limit) {
  const PressureLadder ladder(percents);
  for (size_t i = 1; i < kPressureLevels; ++i) {
    const uint64_t wanted = ladder.wanted_bytes(kLevels[i], used, limit);
    ASSERT_LE(wanted, used);
    ASSERT_LT(ladder.level_of(used - wanted, limit, PressureLevel::kEmergency), kLevels[i])
        << used << " of " << limit << ", line at " << int{percents[i - 1]};
    if (wanted == 0) continue;
    ASSERT_GE(ladder.level_of(used - wanted + 1, limit, kLevels[i]), kLevels[i])
        << used << " of " << limit << ", line at " << int{percents[i - 1]};
  }
}

TEST(Ladder, WhatIsWantedIsJustEnoughToLeaveTheLevel) {
  for (const auto& percents : kPercents) {
    for (uint64_t limit = 100; limit <= 210; ++limit) {
      for (uint64_t used = 0; used <= limit + 2; ++used) expect_just_enough(percents, used, limit);
    }
    for (const uint64_t limit : edges()) {
      if (limit < 100) continue;
      for (const uint64_t used : edges()) expect_just_enough(percents, used, limit);
    }
  }
}

TEST(Ladder, WantsWhatIsAboveTwoPerCentBelowTheLine) {
  const PressureLadder ladder(kPercents[0]);
  EXPECT_EQ(ladder.wanted_bytes(PressureLevel::kHigh, 850, 1000), 70U);
  EXPECT_EQ(ladder.wanted_bytes(PressureLevel::kHigh, 781, 1000), 1U);
  EXPECT_EQ(ladder.wanted_bytes(PressureLevel::kHigh, 780, 1000), 0U);
  EXPECT_EQ(ladder.wanted_bytes(PressureLevel::kWarning, 780, 1000), 100U);
  EXPECT_EQ(ladder.wanted_bytes(PressureLevel::kNone, 780, 1000), 780U);
}

TEST(Ladder, LooksCloserTheLessIsLeft) {
  const PressureLadder ladder(kPercents[0]);
  EXPECT_EQ(ladder.next_look_bytes(0, 32 * kGiB), kGiB);
  EXPECT_EQ(ladder.next_look_bytes(16 * kGiB, 32 * kGiB), 512 * kMiB);
  EXPECT_EQ(ladder.next_look_bytes(32 * kGiB, 32 * kGiB), 64 * kMiB);
  EXPECT_EQ(ladder.next_look_bytes(64 * kGiB, 32 * kGiB), 64 * kMiB) << "passed: still an end";
  EXPECT_EQ(ladder.next_look_bytes(0, kMiB), 256 * kKiB);
  EXPECT_EQ(ladder.next_look_bytes(UINT64_MAX, 0), 256 * kKiB);
  EXPECT_EQ(ladder.next_look_bytes(0, UINT64_MAX), UINT64_MAX / 32);
  for (const uint64_t limit : edges()) {
    uint64_t last = UINT64_MAX;
    std::vector<uint64_t> rising = edges();
    std::sort(rising.begin(), rising.end());
    for (const uint64_t used : rising) {
      const uint64_t now = ladder.next_look_bytes(used, limit);
      ASSERT_LE(now, last);
      ASSERT_GE(now, 256 * kKiB);
      ASSERT_LE(now, uint64_t{INT64_MAX}) << "the clock is signed";
      last = now;
    }
  }
}

}  // namespace
}  // namespace elasticpool
