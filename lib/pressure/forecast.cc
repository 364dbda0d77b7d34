// One second after the other: settle what was said of it, keep it, say anew.
#include "pressure/forecast.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

namespace elasticpool {
namespace {

constexpr float kBytesPerUnit = 1024 * 1024;
constexpr float kUnbounded = std::numeric_limits<float>::max();

// What is missed at a horizon, over what is missed at the one half as long.
constexpr float kMissedGrows = 1.5F;

float units_of(uint64_t bytes) { return static_cast<float>(bytes) / kBytesPerUnit; }

uint64_t bytes_of(float units) {
  constexpr float kTooMany = 18446744073709551616.0F;
  const float bytes = units * kBytesPerUnit;
  if (!(bytes > 0)) return 0;
  return bytes >= kTooMany ? UINT64_MAX : static_cast<uint64_t>(bytes);
}

}  // namespace

void Forecaster::configure(ForecastMethod method, const uint8_t (&levels_percent)[kLevels]) {
  std::copy(levels_percent, levels_percent + kLevels, levels_percent_);
  switch (method) {
    case ForecastMethod::kLast:
      asked_ = 1U << kExpertLast;
      break;
    case ForecastMethod::kLinear:
      asked_ = 1U << kExpertLinear;
      break;
    case ForecastMethod::kMixed:
      asked_ = 0;
      break;
  }
}

void Forecaster::reset() {
  const uint32_t asked = asked_;
  uint8_t levels_percent[kLevels];
  std::copy(levels_percent_, levels_percent_ + kLevels, levels_percent);
  // In place: a copy would take as much of a small stack.
  new (this) Forecaster{};
  asked_ = asked;
  std::copy(levels_percent, levels_percent + kLevels, levels_percent_);
}

float Forecaster::whole() const {
  constexpr float kLeast = 1.0F / kBytesPerUnit;
  if (limited()) return std::max(limit_, kLeast);
  const Series all = usage();
  return std::max(*std::max_element(all.oldest, all.oldest + all.count), kLeast);
}

float Forecaster::level(uint32_t i) const {
  const bool configured = levels_percent_[kLevels - 1] != 0;
  const uint8_t percent = configured ? levels_percent_[i] : kUsualLevelsPercent[i];
  return limit_ * static_cast<float>(percent) / 100;
}

Pledge& Forecaster::slot(uint32_t horizon, uint64_t second) {
  constexpr uint32_t kBegin[kHorizons] = {0, 31, 31 + 61};
  return pledges_[kBegin[horizon] + second % (kHorizonsS[horizon] + 1)];
}

float Forecaster::most_of(uint32_t latest_s) const {
  const Series latest = usage().latest(latest_s);
  return *std::max_element(latest.oldest, latest.oldest + latest.count);
}

Bounds Forecaster::bounds() const {
  const Series all = usage();
  // A single method says what it says.
  if (asked_ != 0) return {0, kUnbounded};
  const auto [least, most] = std::minmax_element(all.oldest, all.oldest + all.count);
  // A limit that was passed holds nobody; else full is what lies in the last band below it.
  if (!limited() || *most > limit_) return {*least, kUnbounded};
  return {*least, std::max(all.last(), limit_ - kBandShare * limit_ / 2)};
}

bool Forecaster::rests(float band) const {
  const Series latest = usage().latest(kRestS);
  const auto [least, most] = std::minmax_element(latest.oldest, latest.oldest + latest.count);
  return latest.count == kRestS && *most - *least < kRestShare * band &&
         *most < level(2) - kStillBelowShare * band;
}

bool Forecaster::moves(float band) const {
  const Series latest = usage().latest(kStillS);
  const auto [least, most] = std::minmax_element(latest.oldest, latest.oldest + latest.count);
  return *most - *least >= kStillShare * band || *most >= level(2) - kStillBelowShare * band;
}

void Forecaster::note_rise(const PressureSample& sample) {
  rise_.note(sample.now_ms, units_of(sample.used_bytes), limited() ? level(2) : 0,
             kBandShare * whole());
}

void Forecaster::settle_one(uint64_t ended_s) {
  const float band = kBandShare * whole();
  for (uint32_t h = 0; h < kHorizons; ++h) {
    // Said kHorizonsS[h] before; its slot is that of the next second.
    Pledge& due = slot(h, ended_s + 1);
    if (h == kHorizons - 1) crossing_.settle(due, most_of(kHorizonMaxS + 1));
    mixes_[h].settle(due, usage().last(), h, band);
    due.allowed = 0;
  }
}

void Forecaster::advance(uint64_t seconds) {
  // A second that nobody looked at was as the one before. No pledge is older than the longest.
  const uint64_t settled_s = std::min<uint64_t>(seconds, kHorizonMaxS + 1);
  for (uint64_t i = 0; i < settled_s; ++i) settle_one(now_s_ + i);
  const float held = usage().last();
  const auto moved = static_cast<uint32_t>(std::min<uint64_t>(seconds, kHistoryS));
  std::memmove(usage_, usage_ + moved, (kHistoryS - moved) * sizeof(float));
  std::fill(usage_ + (kHistoryS - moved), usage_ + kHistoryS, held);
  seconds_ = std::min(seconds_ + moved, kHistoryS);
  now_s_ += seconds;
}

void Forecaster::foresee(bool new_second) {
  Opinions opinions;
  ask_experts(usage(), flow_, &opinions);
  const float band = kBandShare * whole();
  // Before anything is known, half a band.
  MixContext now{0,        asked(), usage().last(), band, limited() ? level(2) : 0,
                 bounds(), nullptr, band / 2};
  float peak = now.last;
  for (uint32_t h = 0; h < kHorizons; ++h) {
    now.horizon = h;
    mixed_[h] = mixes_[h].mix(opinions.says[h], now);
    now.shorter = &mixes_[h];
    now.shorter_missed = kMissedGrows * mixed_[h].missed;
    Pledge& made = slot(h, now_s_);
    for (uint32_t e = 0; e < kExperts; ++e) made.says[e] = now.bounds.hold(opinions.says[h][e]);
    made.centre = mixed_[h].centre;
    made.scale = mixed_[h].scale;
    peak = std::max(peak, mixed_[h].heading);
    made.peak = peak;
    made.allowed = now.allowed;
  }
  const bool still = rests(band);
  const CrossingSigns signs{now.last,        peak,          most_of(kLookBackS),   now.level,
                            now.band,        seconds_,      !still && moves(band), still,
                            rise_.carries(), rise_.sinks(), rise_.past_ceiling()};
  crossing_.judge(signs, mixed_, new_second);
}

void Forecaster::note_flow(const PressureSample& sample, uint64_t seconds) {
  constexpr float kGain = 0.05F;
  const bool totals = sample.allocated_bytes != 0;
  if (!totals && sample.live_bytes == 0) return;
  const float net = totals ? units_of(sample.allocated_bytes) - units_of(sample.released_bytes)
                           : units_of(sample.live_bytes);
  if (flow_known_) {
    // Over a gap, what the seconds of it would have done one by one, or nearly.
    const float gain = std::min(1.0F, kGain * static_cast<float>(seconds));
    flow_ += gain * ((net - net_) / static_cast<float>(seconds) - flow_);
  }
  flow_known_ = true;
  net_ = net;
}

void Forecaster::observe(const PressureSample& sample) {
  const float used = units_of(sample.used_bytes);
  limit_ = sample.limit_bytes == UINT64_MAX ? 0 : units_of(sample.limit_bytes);
  const uint64_t now_s = sample.now_ms / 1000;
  const bool new_second = seconds_ == 0 || now_s > now_s_;
  if (new_second) note_flow(sample, seconds_ == 0 ? 1 : now_s - now_s_);
  if (seconds_ == 0) {
    now_s_ = now_s;
    seconds_ = 1;
  } else if (new_second) {
    advance(now_s - now_s_);
  }
  usage_[kHistoryS - 1] = used;
  note_rise(sample);
  foresee(new_second);
}

bool Forecaster::glance(const PressureSample& sample) {
  // Another limit is another level: the next sample's concern.
  if (seconds_ == 0 || !limited() || units_of(sample.limit_bytes) != limit_) return false;
  note_rise(sample);
  const uint32_t before = crossing_.alarms();
  crossing_.judge_rise(rise_.carries());
  return crossing_.alarms() != before;
}

// Along straight pieces through the headings, and on as between the last two.
uint32_t Forecaster::seconds_to(float amount) const {
  float from_s = 0;
  float from = usage().last();
  if (from >= amount) return 0;
  for (uint32_t h = 0; h <= kHorizons; ++h) {
    float to_s = static_cast<float>(kForeseenS);
    float to = mixed_[kHorizons - 1].heading;
    if (h < kHorizons) {
      to_s = static_cast<float>(kHorizonsS[h]);
      to = mixed_[h].heading;
    } else {
      const float slope = (to - mixed_[kHorizons - 2].heading) / 60;
      to += slope * (to_s - from_s);
    }
    if (to >= amount) {
      return static_cast<uint32_t>(from_s + (to_s - from_s) * (amount - from) / (to - from));
    }
    from_s = to_s;
    from = to;
  }
  return UINT32_MAX;
}

PressureTrend Forecaster::trend() const {
  // So much of the whole in a minute is more than noise.
  constexpr float kStableShare = 0.02F;
  const float last = usage().last();
  if (crossing_.alarm() || (limited() && last >= level(2))) return PressureTrend::kCritical;
  const float change = (mixed_[1].heading - last) / whole();
  if (change > kStableShare) return PressureTrend::kIncreasing;
  return change < -kStableShare ? PressureTrend::kDecreasing : PressureTrend::kStable;
}

Outlook Forecaster::outlook() const {
  Outlook outlook{};
  for (uint32_t h = 0; h < kHorizons; ++h) outlook.forecasts[h].horizon_s = kHorizonsS[h];
  std::fill(outlook.seconds_to, outlook.seconds_to + kLevels, UINT32_MAX);
  outlook.trend = PressureTrend::kStable;
  outlook.alarms = crossing_.alarms();
  if (seconds_ == 0) return outlook;
  for (uint32_t h = 0; h < kHorizons; ++h) {
    const Mixed& m = mixed_[h];
    outlook.forecasts[h] = {kHorizonsS[h], m.confidence, bytes_of(m.centre), bytes_of(m.low()),
                            bytes_of(m.high())};
  }
  if (limited()) {
    for (uint32_t i = 0; i < kLevels; ++i) outlook.seconds_to[i] = seconds_to(level(i));
  }
  outlook.crossing = crossing_.chance();
  outlook.trend = trend();
  outlook.alarm = crossing_.alarm();
  return outlook;
}

}  // namespace elasticpool
