// exp() by squaring (1 - x / 64) six times: libm alone has a better one.
#include "pressure/forecast_crossing.h"

#include <algorithm>

namespace elasticpool {
namespace {

constexpr float kExcessKeep = 0.985F;  // a second later
constexpr float kExcessSeconds = 10;   // that the prior counts for
constexpr float kExcessMean = 0.3F;
constexpr float kExcessSpread = 1;
constexpr float kExcessBound = 4;

// The regression's.
constexpr float kChanceBase = 0.25F;
constexpr float kChancePeak = 0.52F;
constexpr float kChanceVote = 0.65F;
constexpr float kChanceMost = 0.68F;
constexpr float kChanceYoung = 0.3F;
constexpr float kYoungS = 150;

constexpr float kSmoothing = 0.25F;

float logistic(float x) {
  const bool negative = x < 0;
  float power = std::max(0.0F, 1 - (negative ? -x : x) / 64);
  for (int i = 0; i < 6; ++i) power *= power;
  return (negative ? power : 1) / (1 + power);
}

}  // namespace

float Crossing::excess_mean() const {
  return (excess_ + kExcessSeconds * kExcessMean) / (seconds_ + kExcessSeconds);
}

float Crossing::excess_spread() const {
  return (deviation_ + kExcessSeconds * kExcessSpread) / (seconds_ + kExcessSeconds);
}

void Crossing::settle(const Pledge& pledge, float most) {
  if (pledge.allowed == 0) return;
  const float excess = std::clamp((most - pledge.peak) / pledge.scale, -kExcessBound, kExcessBound);
  const float off = excess - excess_mean();
  excess_ = kExcessKeep * excess_ + excess;
  deviation_ = kExcessKeep * deviation_ + (off < 0 ? -off : off);
  seconds_ = kExcessKeep * seconds_ + 1;
}

float Crossing::peak_of(const CrossingSigns& signs, const Mixed& longest) const {
  return signs.peak + excess_mean() * longest.scale;
}

float Crossing::chance_of(const CrossingSigns& signs, const Mixed (&mixed)[kHorizons]) const {
  if (signs.level <= 0) return 0;
  if (signs.last >= signs.level) return 1;
  const Mixed& longest = mixed[kHorizons - 1];
  const float over = peak_of(signs, longest) - signs.level;
  const float near = (signs.most - signs.level) / (signs.band / 2);
  const float known = std::min(static_cast<float>(signs.known_s) / kYoungS, 1.0F);
  const float vote = (mixed[kHorizons - 2].vote + longest.vote) / 2;
  return logistic(kChanceBase +
                  kChancePeak * std::clamp(over / (excess_spread() * longest.scale), -6.0F, 4.0F) +
                  kChanceVote * vote + kChanceMost * std::clamp(near, -3.0F, 1.0F) +
                  kChanceYoung * (1 - known));
}

void Crossing::note_passing(const CrossingSigns& signs, bool new_second) {
  const bool sunk = signs.sinks && signs.last < signs.level - kSunkBands * signs.band;
  if (new_second) {
    sunk_s_ = sunk ? sunk_s_ + 1 : 0;
    if (++since_passed_s_ > kPassedS) passed_ = 0;
  }
  if (signs.sinks) is_above_ = false;
  if (chance_ < kAlarmOff) ended_sinking_ = false;
  if (signs.level <= 0 || signs.last < signs.level) return;
  passed_ += is_above_ ? 0 : 1;
  since_passed_s_ = 0;
  is_above_ = true;
  ended_sinking_ = false;
}

bool Crossing::is_over(const CrossingSigns& signs, const Mixed& longest) const {
  if (sunk_s_ == 0 || peak_of(signs, longest) >= signs.level) return false;
  return passed_ == 0 || (passed_ == 1 && sunk_s_ > kSunkS);
}

bool Crossing::is_due(const CrossingSigns& signs) const {
  if (signs.level > 0 && signs.last >= signs.level) return true;
  if (!signs.moves || (steady_ < kAlarmOn && chance_ < kAlarmSure)) return false;
  const bool is_near = signs.last >= signs.level - signs.band;
  if (ended_sinking_ && !is_near) return false;
  return signs.known_s >= kTooYoungS || (signs.past_ceiling && is_near);
}

bool Crossing::holds(const CrossingSigns& signs) const {
  if (signs.rests) return false;
  if (chance_ >= kAlarmSure) return true;
  return signs.moves && chance_ >= (signs.past_ceiling ? kAlarmOff : kAlarmOffBelow);
}

void Crossing::judge_rise(bool carries) {
  if (!carries) return;
  alarms_ += alarm_ ? 0 : 1;
  alarm_ = true;
  rest_s_ = 0;
}

void Crossing::judge(const CrossingSigns& signs, const Mixed (&mixed)[kHorizons], bool new_second) {
  chance_ = chance_of(signs, mixed);
  if (new_second) steady_ += kSmoothing * (chance_ - steady_);
  note_passing(signs, new_second);
  judge_rise(signs.carries || (!alarm_ && is_due(signs)));
  if (!alarm_ || signs.carries) return;
  if (holds(signs) && !is_over(signs, mixed[kHorizons - 1])) {
    rest_s_ = 0;
  } else if (new_second) {
    ++rest_s_;
    alarm_ = rest_s_ <= kAlarmRestS;
    ended_sinking_ = !alarm_ && signs.sinks;
  }
}

}  // namespace elasticpool
