// pressure/forecast_crossing.h: what raises the chance, what lowers it, and when an alarm ends.
#include "pressure/forecast_crossing.h"

#include <gtest/gtest.h>

namespace elasticpool {
namespace {

constexpr float kLevel = 90;
constexpr float kBand = 10;

struct Scene {
  Crossing crossing;
  CrossingSigns signs{.last = 50,
                      .peak = 50,
                      .most = 50,
                      .level = kLevel,
                      .band = kBand,
                      .known_s = 600,
                      .moves = true,
                      .rests = false,
                      .carries = false,
                      .sinks = false,
                      .past_ceiling = true};
  Mixed mixed[kHorizons] = {};

  Scene() {
    for (Mixed& m : mixed) m.scale = 3;
  }
  float chance(float peak, float vote = 0) {
    signs.peak = peak;
    signs.most = signs.last;
    for (Mixed& m : mixed) m.vote = vote;
    crossing.judge(signs, mixed, true);
    return crossing.chance();
  }
};

TEST(CrossingChance, IsCertainAtTheLevelAndNothingWithoutOne) {
  Scene scene;
  scene.signs.last = kLevel;
  EXPECT_EQ(scene.chance(kLevel), 1);
  scene.signs.level = 0;
  EXPECT_EQ(scene.chance(kLevel), 0);
}

TEST(CrossingChance, RisesWithThePeakAndTheVote) {
  Scene scene;
  float before = 0;
  for (float peak = 50; peak <= 110; peak += 5) {
    const float chance = scene.chance(peak);
    EXPECT_GE(chance, before) << peak;
    EXPECT_LE(chance, 1) << peak;
    before = chance;
  }
  EXPECT_LT(scene.chance(55), 0.1F);
  EXPECT_GT(scene.chance(85, 1), scene.chance(85, 0));
}

TEST(CrossingChance, WhoStaysBelowForLongIsNoLongerFearedFor) {
  Scene scene;
  scene.signs.last = 86;
  const float feared = scene.chance(87);
  for (int i = 0; i < 300; ++i) {
    Pledge pledge{};
    pledge.peak = 87;
    pledge.scale = 3;
    pledge.allowed = kAllExperts;
    scene.crossing.settle(pledge, 87);
  }
  EXPECT_LT(scene.chance(87), feared / 2);
}

TEST(CrossingChance, WhosePeaksPassedTheForecastsIsFearedForEarlier) {
  Scene scene;
  scene.signs.last = 80;
  const float feared = scene.chance(82);
  for (int i = 0; i < 100; ++i) {
    Pledge pledge{};
    pledge.peak = 82;
    pledge.scale = 3;
    pledge.allowed = kAllExperts;
    scene.crossing.settle(pledge, 82 + 3 * 3.5F);
  }
  EXPECT_GT(scene.chance(82), feared + 0.2F);
}

TEST(Alarm, DoesNotFlicker) {
  Scene scene;
  scene.signs.last = 80;
  for (int i = 0; i < 20; ++i) scene.chance(110, 1);
  ASSERT_TRUE(scene.crossing.alarm());
  ASSERT_EQ(scene.crossing.alarms(), 1U);
  // Dips shorter than the rest do not end it; samples within one second are no time.
  for (int i = 0; i < 10; ++i) {
    scene.signs.last = 40;
    for (uint32_t s = 0; s < kAlarmRestS; ++s) scene.chance(40);
    for (int k = 0; k < 50; ++k) scene.crossing.judge(scene.signs, scene.mixed, false);
    EXPECT_TRUE(scene.crossing.alarm());
    scene.signs.last = 80;
    scene.chance(110, 1);
  }
  EXPECT_EQ(scene.crossing.alarms(), 1U);
  scene.signs.last = 40;
  for (uint32_t s = 0; s <= kAlarmRestS; ++s) scene.chance(40);
  EXPECT_FALSE(scene.crossing.alarm());
  scene.signs.last = kLevel;
  scene.chance(kLevel);
  EXPECT_TRUE(scene.crossing.alarm()) << "at the level at once";
  EXPECT_EQ(scene.crossing.alarms(), 2U);
}

TEST(Alarm, BeginsWithARiseThatCarriesAndLastsAsLongAsThat) {
  Scene scene;
  scene.signs.known_s = 10;
  scene.signs.carries = true;
  EXPECT_LT(scene.chance(50), kAlarmOff);
  EXPECT_TRUE(scene.crossing.alarm());
  for (int i = 0; i < 100; ++i) scene.chance(50);
  EXPECT_TRUE(scene.crossing.alarm());
  scene.signs.carries = false;
  for (uint32_t s = 0; s <= kAlarmRestS; ++s) scene.chance(50);
  EXPECT_FALSE(scene.crossing.alarm());
  scene.crossing.judge_rise(false);
  EXPECT_FALSE(scene.crossing.alarm());
  scene.crossing.judge_rise(true);
  scene.crossing.judge_rise(true);
  EXPECT_TRUE(scene.crossing.alarm()) << "between samples";
  EXPECT_EQ(scene.crossing.alarms(), 2U);
}

TEST(Alarm, OfWhomLittleIsKnownWaitsForTheLevel) {
  for (const uint32_t known_s : {5U, kTooYoungS - 1, kTooYoungS}) {
    for (const bool past_ceiling : {false, true}) {
      Scene scene;
      scene.signs.known_s = known_s;
      scene.signs.past_ceiling = past_ceiling;
      scene.signs.last = kLevel - kBand - 1;
      for (int i = 0; i < 30; ++i) scene.chance(120, 1);
      EXPECT_EQ(scene.crossing.alarm(), known_s >= kTooYoungS) << known_s;
      scene.signs.last = kLevel - kBand;
      scene.chance(120, 1);
      EXPECT_EQ(scene.crossing.alarm(), known_s >= kTooYoungS || past_ceiling) << known_s;
      scene.signs.last = kLevel;
      scene.chance(120, 1);
      EXPECT_TRUE(scene.crossing.alarm()) << known_s;
    }
  }
}

TEST(Alarm, OfWhoIsStillEndsAndDoesNotBegin) {
  Scene scene;
  scene.signs.last = 85;
  scene.signs.moves = false;
  for (int i = 0; i < 30; ++i) scene.chance(88, 0.8F);
  ASSERT_GT(scene.crossing.chance(), kAlarmOn);
  ASSERT_LT(scene.crossing.chance(), kAlarmSure);
  EXPECT_FALSE(scene.crossing.alarm());
  scene.signs.moves = true;
  scene.chance(88, 0.8F);
  EXPECT_TRUE(scene.crossing.alarm());
  scene.signs.moves = false;
  for (uint32_t s = 0; s < kAlarmRestS; ++s) scene.chance(88, 0.8F);
  EXPECT_TRUE(scene.crossing.alarm());
  scene.chance(88, 0.8F);
  EXPECT_FALSE(scene.crossing.alarm());
}

TEST(Alarm, OfWhoRestsEndsWhateverTheChance) {
  Scene scene;
  scene.signs.last = 85;
  for (int i = 0; i < 30; ++i) scene.chance(110, 1);
  ASSERT_GT(scene.crossing.chance(), kAlarmSure);
  scene.signs.moves = false;
  for (int i = 0; i < 30; ++i) scene.chance(110, 1);
  EXPECT_TRUE(scene.crossing.alarm()) << "still, but it is sure";
  scene.signs.rests = true;
  for (uint32_t s = 0; s < kAlarmRestS; ++s) scene.chance(110, 1);
  EXPECT_TRUE(scene.crossing.alarm());
  scene.chance(110, 1);
  EXPECT_FALSE(scene.crossing.alarm());
}

// Up to `top` under alarm, then down to `last`, where the chance alone would keep it.
struct Fall : Scene {
  explicit Fall(float top, int times = 1) : most(top) {
    for (int i = 0; i < times; ++i) {
      signs.sinks = false;
      signs.last = top;
      for (int s = 0; s < 30; ++s) chance(110, 1);
      EXPECT_TRUE(crossing.alarm());
      signs.sinks = true;
      signs.last = kLevel - kBand;
      chance(110, 1);
    }
  }
  // -> whether the alarm is on after so long
  bool alarm_after(uint32_t seconds, float last, float peak = 88) {
    signs.last = last;
    signs.peak = peak;
    signs.most = most;
    for (uint32_t s = 0; s < seconds; ++s) crossing.judge(signs, mixed, true);
    EXPECT_GT(crossing.chance(), kAlarmOffBelow);
    return crossing.alarm();
  }

  float most;
};

constexpr float kSunk = kLevel - kSunkBands * kBand - 1;

TEST(Alarm, OfWhoHasSunkEnds) {
  EXPECT_TRUE(Fall(80).alarm_after(kAlarmRestS, kSunk));
  EXPECT_FALSE(Fall(80).alarm_after(kAlarmRestS + 1, kSunk));
  EXPECT_TRUE(Fall(80).alarm_after(100, kSunk + 2)) << "not so far";
  EXPECT_TRUE(Fall(80).alarm_after(100, kSunk, 90)) << "a peak above the level is to come";
  Fall rises(80);
  rises.signs.sinks = false;
  EXPECT_TRUE(rises.alarm_after(100, kSunk));
}

TEST(Alarm, OfWhoHasSunkAfterPassingTheLevelWaitsForHimToComeBack) {
  EXPECT_TRUE(Fall(kLevel).alarm_after(kSunkS + kAlarmRestS, kSunk));
  EXPECT_FALSE(Fall(kLevel).alarm_after(kSunkS + kAlarmRestS + 1, kSunk));
  EXPECT_TRUE(Fall(kLevel, 2).alarm_after(100, kSunk)) << "he has come back once";
  EXPECT_FALSE(Fall(kLevel, 2).alarm_after(kPassedS + 100, kSunk)) << "but long ago";
}

TEST(Alarm, OfWhoHasSunkBeginsAgainNearTheLevelOnly) {
  Fall fall(kLevel);
  ASSERT_FALSE(fall.alarm_after(kSunkS + kAlarmRestS + 1, kSunk));
  fall.signs.sinks = false;
  fall.signs.last = kLevel - kBand - 1;
  for (int i = 0; i < 30; ++i) fall.chance(110, 1);
  ASSERT_GT(fall.crossing.chance(), kAlarmSure);
  EXPECT_FALSE(fall.crossing.alarm());
  Fall quiet = fall;
  fall.signs.last = kLevel - kBand;
  fall.chance(110, 1);
  EXPECT_TRUE(fall.crossing.alarm());
  // Or once it was quiet.
  quiet.signs.last = 20;
  quiet.chance(20);
  ASSERT_LT(quiet.crossing.chance(), kAlarmOff);
  quiet.signs.last = kLevel - kBand - 1;
  for (int i = 0; i < 30; ++i) quiet.chance(110, 1);
  EXPECT_TRUE(quiet.crossing.alarm());
}

TEST(Alarm, EndsEarlierBelowWhereUsageHasTurned) {
  Scene other;
  other.signs.last = 79;
  float peak = 79;
  while (other.chance(peak) < (kAlarmOff + kAlarmOffBelow) / 2) peak += 0.1F;
  for (const bool past_ceiling : {true, false}) {
    Scene scene;
    scene.signs.last = 80;
    for (int i = 0; i < 30; ++i) scene.chance(110, 1);
    ASSERT_TRUE(scene.crossing.alarm());
    scene.signs.past_ceiling = past_ceiling;
    scene.signs.last = 79;
    for (uint32_t s = 0; s <= kAlarmRestS; ++s) scene.chance(peak);
    ASSERT_GT(scene.crossing.chance(), kAlarmOff);
    ASSERT_LT(scene.crossing.chance(), kAlarmOffBelow);
    EXPECT_EQ(scene.crossing.alarm(), past_ceiling);
  }
}

}  // namespace
}  // namespace elasticpool
