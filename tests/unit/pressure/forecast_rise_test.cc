// pressure/forecast_rise.h: which rises are believed, and what makes one end.
#include "pressure/forecast_rise.h"

#include <gtest/gtest.h>

namespace elasticpool {
namespace {

constexpr float kLevel = 90;
constexpr float kBand = 10;
constexpr uint64_t kStepMs = 100;

struct Scene {
  Rise rise;
  uint64_t now_ms = 7000;
  float used = 0;

  void note(float figure) {
    used = figure;
    rise.note(now_ms, used, kLevel, kBand);
    now_ms += kStepMs;
  }
  void stay(float seconds) {
    for (int i = 0; i < static_cast<int>(seconds * 10); ++i) note(used);
  }
  // -> where it was believed first; 0: never
  float go(float to, float per_s) {
    float believed = 0;
    while (used != to) {
      const float step = used < to ? per_s / 10 : -per_s / 10;
      note((used < to) == (used + step < to) ? used + step : to);
      if (believed == 0 && rise.carries()) believed = used;
    }
    return believed;
  }
};

TEST(Rise, LastsForAsLongAgainAsItHasLessTheDoubt) {
  Scene scene;
  scene.note(20);
  scene.stay(5);
  // 4 a second from 20: what is left of 70 is less than what has gone and 20 for the doubt.
  EXPECT_NEAR(scene.go(89, 4), (kLevel + 20 + 4 * kDoubtS) / 2, 1);
  EXPECT_TRUE(scene.rise.carries());
  scene.note(kLevel);
  EXPECT_FALSE(scene.rise.carries()) << "that is no question any more";
}

TEST(Rise, OfAFewSecondsIsNotBelieved) {
  Scene scene;
  scene.note(25);
  EXPECT_EQ(scene.go(85, 60 / kDoubtS), 0);
}

TEST(Rise, FarOffIsNotItsConcern) {
  Scene scene;
  scene.note(10);
  const float believed = scene.go(89, 0.5F);
  EXPECT_NEAR(believed, kLevel - 0.5F * kCarriesS, 1);
}

TEST(Rise, RestsAndFallsBeginAnew) {
  for (const bool falls : {false, true}) {
    Scene scene;
    scene.note(20);
    scene.go(60, 4);
    if (falls) {
      // By less than a band: no ceiling.
      scene.go(51, 30);
    } else {
      scene.stay(6);
    }
    const float low = scene.used;
    EXPECT_NEAR(scene.go(89, 4), (kLevel + low + 4 * kDoubtS) / 2, 2) << falls;
  }
}

TEST(Rise, APaceThatFadesIsTakenAtItsLeast) {
  Scene scene;
  scene.note(20);
  EXPECT_EQ(scene.go(60, 4), 0);
  EXPECT_EQ(scene.go(68, 1.2F), 0) << "by its pace from the begin on it would be near";
}

TEST(Rise, BelowWhereUsageHasTurnedIsNotBelieved) {
  Scene scene;
  scene.note(20);
  EXPECT_GT(scene.go(75, 4), 0) << "the first";
  scene.go(20, 100);
  EXPECT_FALSE(scene.rise.past_ceiling());
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(scene.go(77, 4), 0) << i;
    scene.go(20, 100);
  }
  const float believed = scene.go(89, 4);
  EXPECT_GT(believed, 77);
  EXPECT_LT(believed, 84);
}

TEST(Rise, CeilingsAreForgotten) {
  Scene scene;
  scene.note(20);
  scene.go(75, 4);
  scene.go(20, 100);
  scene.stay(kCeilingS + 1);
  EXPECT_TRUE(scene.rise.past_ceiling());
  EXPECT_GT(scene.go(75, 4), 0) << "by time";
  scene.go(20, 100);
  EXPECT_EQ(scene.go(75, 4), 0);
  scene.go(95, 4);
  scene.go(20, 100);
  EXPECT_GT(scene.go(75, 4), 0) << "usage has passed the level since";
}

TEST(Rise, WithoutALevelNothingIsCarried) {
  Rise rise;
  for (uint64_t s = 0; s < 100; ++s) {
    rise.note(s * 1000, static_cast<float>(s), 0, kBand);
    EXPECT_FALSE(rise.carries());
  }
}

TEST(Rise, TimeThatGoesBackIsNoTime) {
  Rise rise;
  rise.note(50'000, 20, kLevel, kBand);
  rise.note(60'000, 60, kLevel, kBand);
  for (uint64_t ms = 10'000; ms < 50'000; ms += 1000) {
    rise.note(ms, 62, kLevel, kBand);
  }
  // 40 in 10 s, and 2 since: 7 s more, less the doubt.
  EXPECT_FALSE(rise.carries());
  rise.note(62'000, 70, kLevel, kBand);
  EXPECT_TRUE(rise.carries());
}

TEST(Rise, SinksFromABandBelowTheTurnToABandAboveTheLow) {
  Scene scene;
  scene.note(20);
  scene.go(80, 4);
  EXPECT_FALSE(scene.rise.sinks());
  scene.go(80 - kBand + 1, 4);
  EXPECT_FALSE(scene.rise.sinks());
  scene.go(80 - kBand, 4);
  EXPECT_TRUE(scene.rise.sinks());
  scene.go(50, 4);
  scene.go(50 + kBand - 1, 4);
  EXPECT_TRUE(scene.rise.sinks());
  scene.go(50 + kBand, 4);
  EXPECT_FALSE(scene.rise.sinks());
}

}  // namespace
}  // namespace elasticpool
