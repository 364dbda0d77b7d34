// Weights fall with the eighth power of a loss: near exp(), which libm alone has.
#include "pressure/forecast_mix.h"

#include <algorithm>
#include <iterator>

namespace elasticpool {
namespace {

// Mean losses of the experts over the traces used for tuning (bench/README.md). The flow is in no
// trace: as the trend over 60 s.
constexpr float kPriorLoss[kHorizons][kExperts] = {
    {0.26F, 0.28F, 0.27F, 0.27F, 0.28F, 0.25F, 0.22F, 0.24F, 0.23F, 0.22F, 0.26F, 0.24F, 0.35F,
     0.16F, 0.17F, 0.14F, 0.15F, 0.15F, 0.22F},
    {0.36F, 0.39F, 0.38F, 0.36F, 0.36F, 0.38F, 0.34F, 0.30F, 0.34F, 0.32F, 0.36F, 0.35F, 0.42F,
     0.24F, 0.23F, 0.23F, 0.24F, 0.23F, 0.32F},
    {0.49F, 0.55F, 0.57F, 0.54F, 0.53F, 0.53F, 0.52F, 0.40F, 0.52F, 0.48F, 0.50F, 0.50F, 0.55F,
     0.42F, 0.38F, 0.39F, 0.40F, 0.39F, 0.48F}};
constexpr float kPriorSeconds = 15;
constexpr float kKeep = 0.97F;  // of a loss, a second later
constexpr float kInherit = 0.7F;
constexpr float kEagerness = 20;

// What the scale is made of: shares of the limit, of the disagreement, of what was missed of late
// and of the way from now to the centre. By regression on |error| over the traces for tuning.
struct ScaleParts {
  float share;
  float disagreement;
  float missed;
  float moved;
};
constexpr ScaleParts kScaleParts[kHorizons] = {
    {0.011F, 0.48F, 0.53F, 0}, {0.009F, 0.53F, 0.56F, 0}, {0.023F, 0.74F, 0.22F, 0.19F}};
constexpr float kMissedSeconds = 10;  // that the prior counts for

constexpr float kPriorReach[kHorizons] = {2.2F, 2.1F, 2.4F};
constexpr float kTrackGain = 0.03F;
constexpr float kStretchLeast = -0.7F;
constexpr float kStretchMost = 5;

// How likely it is to be within the band when it is so many scales wide.
struct CurvePoint {
  float scales;
  float chance;
};
constexpr CurvePoint kChances[] = {{0, 0.10F}, {0.25F, 0.30F}, {0.5F, 0.46F}, {0.75F, 0.59F},
                                   {1, 0.68F}, {1.5F, 0.78F},  {2, 0.85F},    {3, 0.93F},
                                   {5, 0.97F}, {9, 0.985F}};

float chance_within(float scales) {
  for (size_t i = 1; i < std::size(kChances); ++i) {
    const CurvePoint& from = kChances[i - 1];
    const CurvePoint& to = kChances[i];
    if (scales >= to.scales) continue;
    return from.chance +
           (to.chance - from.chance) * (scales - from.scales) / (to.scales - from.scales);
  }
  return kChances[std::size(kChances) - 1].chance;
}

constexpr float magnitude(float x) { return x < 0 ? -x : x; }

// 0 up to half a band, 1 from one and a half on.
float loss_of(float error, float band) {
  return std::clamp(magnitude(error) / band - 0.5F, 0.0F, 1.0F);
}

float weight_of(float excess_loss) {
  const float base = std::max(0.0F, 1 - excess_loss * kEagerness / 8);
  const float squared = base * base;
  return squared * squared * squared * squared;
}

// The weight that sees the level passed.
float vote_of(const Weighted* all, uint32_t count, const MixContext& context) {
  // Half a band about the level is between no and yes.
  const float below = context.level - context.band / 4;
  float vote = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const float over = (all[i].figure - below) / (context.band / 2);
    vote += all[i].weight * std::clamp(over, 0.0F, 1.0F);
  }
  return vote;
}

// What is as far from the centre as that, in bands, pulls half as much as it weighs.
constexpr float kHalfPullBands = 2;
constexpr int kCentreSteps = 3;

// Begins at an opinion. The pull is never 0: far ones move the centre by less than their distance.
float centre_of(const Weighted* all, uint32_t count, float from, float band) {
  float centre = from;
  for (int step = 0; step < kCentreSteps; ++step) {
    float pulled = 0;
    float pull = 0;
    for (uint32_t i = 0; i < count; ++i) {
      const float away = (all[i].figure - centre) / (kHalfPullBands * band);
      const float pulls = all[i].weight / (1 + away * away);
      pulled += pulls * (all[i].figure - centre);
      pull += pulls;
    }
    centre += pulled / pull;
  }
  return centre;
}

}  // namespace

void HorizonMix::estimate(uint32_t horizon, const HorizonMix* shorter,
                          float (&losses)[kExperts]) const {
  // What the shorter horizon learnt over its own prior; it passes on nothing that it inherited.
  for (uint32_t e = 0; e < kExperts; ++e) {
    float expected = kPriorLoss[horizon][e];
    if (shorter != nullptr) {
      const float before = kPriorLoss[horizon - 1][e];
      const float learnt = shorter->loss_[e] - shorter->seconds_ * before;
      expected += kInherit * learnt / (kPriorSeconds + shorter->seconds_);
    }
    losses[e] = (kPriorSeconds * expected + loss_[e]) / (kPriorSeconds + seconds_);
  }
}

Mixed HorizonMix::mix(const float (&says)[kExperts], const MixContext& context) const {
  float losses[kExperts];
  estimate(context.horizon, context.shorter, losses);
  float least = 2;
  for (uint32_t e = 0; e < kExperts; ++e) {
    if ((context.allowed >> e & 1) != 0) least = std::min(least, losses[e]);
  }
  Weighted opinions[kExperts];
  uint32_t count = 0;
  float total_weight = 0;
  for (uint32_t e = 0; e < kExperts; ++e) {
    if ((context.allowed >> e & 1) == 0) continue;
    const float weight = weight_of(losses[e] - least);
    opinions[count++] = {says[e], weight};
    total_weight += weight;
  }
  Mixed mixed{};
  mixed.heading = weighted_median(opinions, count);
  mixed.vote = context.level > 0 ? vote_of(opinions, count, context) / total_weight : 0;
  for (uint32_t i = 0; i < count; ++i) opinions[i].figure = context.bounds.hold(opinions[i].figure);
  mixed.centre = centre_of(opinions, count, context.bounds.hold(mixed.heading), context.band);
  float disagreement = 0;
  for (uint32_t i = 0; i < count; ++i) {
    disagreement += opinions[i].weight * magnitude(opinions[i].figure - mixed.centre);
  }
  disagreement /= total_weight;
  mixed.missed = (missed_ + kMissedSeconds * context.shorter_missed) / (seconds_ + kMissedSeconds);
  const ScaleParts& parts = kScaleParts[context.horizon];
  mixed.scale = parts.share * (context.band / kBandShare) + parts.disagreement * disagreement +
                parts.missed * mixed.missed + parts.moved * magnitude(mixed.centre - context.last);
  mixed.reach = kPriorReach[context.horizon] * (1 + stretch_);
  mixed.confidence = chance_within(context.band / mixed.scale);
  return mixed;
}

void HorizonMix::settle(const Pledge& pledge, float truth, uint32_t horizon, float band) {
  if (pledge.allowed == 0) return;
  for (uint32_t e = 0; e < kExperts; ++e) {
    loss_[e] = kKeep * loss_[e] + loss_of(pledge.says[e] - truth, band);
  }
  const float error = magnitude(pledge.centre - truth);
  missed_ = kKeep * missed_ + std::min(error, band / kBandShare);
  seconds_ = kKeep * seconds_ + 1;
  const bool outside = error > kPriorReach[horizon] * (1 + stretch_) * pledge.scale;
  stretch_ += kTrackGain * (1 + stretch_) * ((outside ? 1.0F : 0.0F) - (1 - kCoverage));
  stretch_ = std::clamp(stretch_, kStretchLeast, kStretchMost);
}

}  // namespace elasticpool
