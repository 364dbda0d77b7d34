// Weights fall with the eighth power of a loss: near exp(), which libm alone has.
#include "pressure/forecast_mix.h"

#include <algorithm>

namespace elasticpool {
namespace {

// Mean losses of the experts over the traces used for tuning (bench/README.md).
constexpr float kPriorLoss[kHorizons][kExperts] = {
    {0.28F, 0.29F, 0.28F, 0.28F, 0.31F, 0.27F, 0.24F, 0.26F, 0.26F, 0.26F, 0.37F, 0.22F, 0.22F,
     0.19F},
    {0.38F, 0.42F, 0.39F, 0.39F, 0.42F, 0.42F, 0.34F, 0.35F, 0.37F, 0.37F, 0.46F, 0.31F, 0.30F,
     0.29F},
    {0.52F, 0.56F, 0.55F, 0.55F, 0.56F, 0.56F, 0.49F, 0.45F, 0.50F, 0.52F, 0.60F, 0.45F, 0.42F,
     0.43F}};
constexpr float kPriorSeconds = 6;
constexpr float kKeep = 0.97F;  // of a loss, a second later
constexpr float kInherit = 0.8F;
constexpr float kEagerness = 20;

constexpr float kPriorReach[kHorizons] = {2.0F, 2.0F, 2.0F};
constexpr float kPriorHits[kHorizons] = {0.84F, 0.76F, 0.66F};
constexpr float kTrackGain = 0.05F;

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

}  // namespace

void HorizonMix::estimate(uint32_t horizon, const HorizonMix* shorter,
                          float (&losses)[kExperts]) const {
  // What the shorter horizon learnt over its own prior. Deeper than that nothing is inherited twice.
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

Mixed HorizonMix::mix(const float (&says)[kExperts], const HorizonMix* shorter,
                      const MixContext& context) const {
  float losses[kExperts];
  estimate(context.horizon, shorter, losses);
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
  mixed.centre = weighted_median(opinions, count);
  float disagreement = 0;
  for (uint32_t i = 0; i < count; ++i) {
    disagreement += opinions[i].weight * magnitude(opinions[i].figure - mixed.centre);
  }
  disagreement /= total_weight;
  constexpr float kMissedPriorSeconds = 10;
  const float missed = (missed_ + kMissedPriorSeconds * 0.5F * context.band) /
                       (missed_seconds_ + kMissedPriorSeconds);
  mixed.scale = 0.1F * context.band + 0.3F * disagreement + 0.2F * context.motion + 0.5F * missed;
  mixed.reach = kPriorReach[context.horizon] * (1 + stretch_);
  constexpr float kHitPriorSeconds = 10;
  mixed.confidence = (hits_ + kHitPriorSeconds * kPriorHits[context.horizon]) /
                     (missed_seconds_ + kHitPriorSeconds);
  return mixed;
}

void HorizonMix::settle(const Pledge& pledge, float truth, const MixContext& context) {
  if (pledge.allowed == 0) return;
  for (uint32_t e = 0; e < kExperts; ++e) {
    loss_[e] = kKeep * loss_[e] + loss_of(pledge.says[e] - truth, context.band);
  }
  seconds_ = kKeep * seconds_ + 1;
  const float error = magnitude(pledge.centre - truth);
  missed_ = kKeep * missed_ + std::min(error, 10 * context.band);
  missed_seconds_ = kKeep * missed_seconds_ + 1;
  hits_ = kKeep * hits_ + (error <= context.band ? 1.0F : 0.0F);
  const bool outside = error > kPriorReach[context.horizon] * (1 + stretch_) * pledge.scale;
  stretch_ += kTrackGain * (1 + stretch_) * ((outside ? 1.0F : 0.0F) - (1 - kCoverage));
  stretch_ = std::clamp(stretch_, -0.8F, 10.0F);
}

}  // namespace elasticpool
