// pressure/forecast_mix.h: who is right is heard, and intervals hold what they promise.
#include "pressure/forecast_mix.h"

#include <gtest/gtest.h>

#include <random>

namespace elasticpool {
namespace {

constexpr float kBand = 10;

MixContext context_of(uint32_t horizon) {
  return {.horizon = horizon,
          .allowed = kAllExperts,
          .last = 50,
          .band = kBand,
          .level = 90,
          .bounds = {0, 1e6F},
          .shorter = nullptr,
          .shorter_missed = kBand / 2};
}

Pledge pledge_of(const float (&says)[kExperts], const Mixed& mixed) {
  Pledge pledge{};
  std::copy(says, says + kExperts, pledge.says);
  pledge.centre = mixed.centre;
  pledge.scale = mixed.scale;
  pledge.allowed = kAllExperts;
  return pledge;
}

TEST(Mix, TheOneWhoIsRightIsHeard) {
  for (uint32_t right = 0; right < kExperts; ++right) {
    HorizonMix mix;
    float says[kExperts];
    for (uint32_t e = 0; e < kExperts; ++e) says[e] = e == right ? 50.0F : 100.0F;
    for (int i = 0; i < 60; ++i) {
      mix.settle(pledge_of(says, mix.mix(says, context_of(0))), 50, 0, kBand);
    }
    EXPECT_EQ(mix.mix(says, context_of(0)).centre, 50) << right;
  }
}

TEST(Mix, WhoWasRightLongAgoIsNot) {
  HorizonMix mix;
  float says[kExperts];
  for (uint32_t e = 0; e < kExperts; ++e) says[e] = e < 3 ? 50.0F : 100.0F;
  for (int i = 0; i < 200; ++i) {
    mix.settle(pledge_of(says, mix.mix(says, context_of(1))), 50, 1, kBand);
  }
  EXPECT_EQ(mix.mix(says, context_of(1)).centre, 50);
  for (int i = 0; i < 60; ++i) {
    mix.settle(pledge_of(says, mix.mix(says, context_of(1))), 100, 1, kBand);
  }
  EXPECT_EQ(mix.mix(says, context_of(1)).centre, 100);
}

TEST(Mix, ALongerHorizonLearnsFromTheShorter) {
  HorizonMix shorter;
  float says[kExperts];
  for (uint32_t e = 0; e < kExperts; ++e) says[e] = e == kExpertLevel ? 50.0F : 100.0F;
  const HorizonMix longer;
  MixContext context = context_of(1);
  context.shorter = &shorter;
  EXPECT_EQ(longer.mix(says, context).heading, 100);
  EXPECT_NEAR(longer.mix(says, context).centre, 100, kBand / 10);
  for (int i = 0; i < 60; ++i) {
    shorter.settle(pledge_of(says, shorter.mix(says, context_of(0))), 50, 0, kBand);
  }
  EXPECT_EQ(longer.mix(says, context).centre, 50) << "with no outcome of its own";
}

TEST(Mix, OnlyWhoIsAllowedIsAsked) {
  const HorizonMix mix;
  float says[kExperts];
  for (uint32_t e = 0; e < kExperts; ++e) says[e] = static_cast<float>(e);
  for (uint32_t e = 0; e < kExperts; ++e) {
    MixContext context = context_of(2);
    context.allowed = 1U << e;
    EXPECT_EQ(mix.mix(says, context).centre, static_cast<float>(e));
  }
}

TEST(Mix, TheCentreIsWhereOpinionsAreDense) {
  const HorizonMix mix;
  float says[kExperts];
  // A few lie far off; the others are spread over a band, most of them near its end.
  for (uint32_t e = 0; e < kExperts; ++e) {
    says[e] = e % 5 == 0 ? 500 : 50 + kBand * (e % 5 == 1 ? 0.0F : 1.0F);
  }
  const Mixed mixed = mix.mix(says, context_of(0));
  EXPECT_EQ(mixed.heading, 50 + kBand);
  EXPECT_GT(mixed.centre, 50 + kBand / 2);
  EXPECT_LT(mixed.centre, 50 + kBand) << "those below pull";
  for (uint32_t e = 0; e < kExperts; e += 5) says[e] = 5e12F;
  const Mixed farther = mix.mix(says, context_of(0));
  EXPECT_LT(farther.centre, mixed.centre) << "the farther off, the less it pulls";
  EXPECT_GT(farther.centre, 50 + kBand / 2);
}

TEST(Mix, TheCentreIsAFigureHoweverFarOpinionsAre) {
  const HorizonMix mix;
  float says[kExperts];
  for (uint32_t e = 0; e < kExperts; ++e) says[e] = e % 2 == 0 ? 0 : 1e13F;
  MixContext context = context_of(0);
  context.band = 1e-7F;
  context.bounds.most = 1e20F;
  const float centre = mix.mix(says, context).centre;
  EXPECT_TRUE(centre >= 0 && centre <= 1e13F) << centre;
}

TEST(Mix, TheCentreIsWithinTheBoundsAndTheHeadingIsNot) {
  const HorizonMix mix;
  for (const float said : {20.0F, 60.0F, 120.0F}) {
    float says[kExperts];
    std::fill(says, says + kExperts, said);
    MixContext context = context_of(2);
    context.bounds = {40, 95};
    const Mixed mixed = mix.mix(says, context);
    EXPECT_EQ(mixed.centre, std::clamp(said, 40.0F, 95.0F));
    EXPECT_EQ(mixed.heading, said);
    EXPECT_EQ(mixed.vote, said > 90 ? 1 : 0);
  }
}

// Errors of a size that the scale knows nothing of, with tails: nine of ten must be inside.
double coverage(float error_size, uint32_t horizon) {
  std::mt19937 random(12345);
  std::student_t_distribution<float> errors(4);
  HorizonMix mix;
  int inside = 0;
  constexpr int kWarm = 1000;
  constexpr int kJudged = 20'000;
  for (int i = 0; i < kWarm + kJudged; ++i) {
    float says[kExperts];
    std::fill(says, says + kExperts, 50.0F);
    const Mixed mixed = mix.mix(says, context_of(horizon));
    const float truth = 50 + error_size * errors(random);
    if (i >= kWarm && mixed.low() <= truth && truth <= mixed.high()) ++inside;
    mix.settle(pledge_of(says, mixed), truth, horizon, kBand);
  }
  return static_cast<double>(inside) / kJudged;
}

TEST(Mix, IntervalsHoldNineOfTen) {
  for (uint32_t h = 0; h < kHorizons; ++h) {
    for (const float size : {1.0F, 3.0F, 6.0F}) {
      EXPECT_NEAR(coverage(size, h), kCoverage, 0.02) << size << " at horizon " << h;
    }
  }
}

TEST(Mix, WhoMissesMoreSaysThatHeIsLessSure) {
  float last = 1;
  for (const float miss : {0.0F, 5.0F, 15.0F, 40.0F}) {
    HorizonMix mix;
    float says[kExperts];
    std::fill(says, says + kExperts, 50.0F);
    for (int i = 0; i < 100; ++i) {
      mix.settle(pledge_of(says, mix.mix(says, context_of(0))), 50 + miss, 0, kBand);
    }
    const float confidence = mix.mix(says, context_of(0)).confidence;
    EXPECT_LT(confidence, last) << miss;
    EXPECT_GT(confidence, 0) << miss;
    last = confidence;
  }
  EXPECT_LT(last, 0.5F) << "who never hits";
}

TEST(Mix, ExpertsWhoDisagreeLeaveLessConfidence) {
  const HorizonMix mix;
  float says[kExperts];
  std::fill(says, says + kExperts, 50.0F);
  const Mixed agreed = mix.mix(says, context_of(1));
  for (uint32_t e = 0; e < kExperts; ++e) says[e] = e % 2 == 0 ? 30.0F : 70.0F;
  const Mixed split = mix.mix(says, context_of(1));
  EXPECT_LT(split.confidence, agreed.confidence);
  EXPECT_GT(split.high() - split.low(), agreed.high() - agreed.low());
}

TEST(Mix, TheVoteIsTheShareThatSeesTheLevelPassed) {
  const HorizonMix mix;
  float says[kExperts];
  std::fill(says, says + kExperts, 50.0F);
  EXPECT_EQ(mix.mix(says, context_of(1)).vote, 0);
  std::fill(says, says + kExperts, 95.0F);
  EXPECT_FLOAT_EQ(mix.mix(says, context_of(1)).vote, 1);
  std::fill(says, says + kExperts, 90.0F);
  EXPECT_FLOAT_EQ(mix.mix(says, context_of(1)).vote, 0.5F);
  MixContext unlimited = context_of(1);
  unlimited.level = 0;
  EXPECT_EQ(mix.mix(says, unlimited).vote, 0);
}

}  // namespace
}  // namespace elasticpool
