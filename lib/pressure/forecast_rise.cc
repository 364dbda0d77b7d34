// Paces are units a second.
#include "pressure/forecast_rise.h"

#include <algorithm>

namespace elasticpool {
namespace {

constexpr uint64_t kApartMs = 1000;
// Shares of a band: what is no rise yet, and by how much turns differ.
constexpr float kLeastShare = 0.05F;
constexpr float kCeilingShare = 0.5F;
// Less than that share of its pace so far is a rest.
constexpr float kRestShare = 0.25F;

float seconds_from(uint64_t then_ms, uint64_t now_ms) {
  return now_ms > then_ms ? static_cast<float>(now_ms - then_ms) / 1000 : 0;
}

}  // namespace

void Rise::keep(Point now) {
  if (!is_known_) {
    std::fill(past_, past_ + kPoints, now);
    is_known_ = true;
  } else if (now.ms - past_[0].ms >= kApartMs) {
    std::copy_backward(past_, past_ + kPoints - 1, past_ + kPoints);
    past_[0] = now;
  }
}

void Rise::turn(Point now, float level, float band) {
  if (sinks_) {
    turn_ = std::min(turn_, now.used);
    if (now.used - turn_ < band) return;
  } else {
    turn_ = std::max(turn_, now.used);
    if (turn_ - now.used < band) return;
    const bool has_passed = level > 0 && turn_ >= level;
    ceiling_ = {now.ms, has_passed ? 0 : std::max(ceiling_.used, turn_)};
  }
  sinks_ = !sinks_;
  turn_ = now.used;
}

bool Rise::rests(Point now) const {
  const float late_s = seconds_from(before().ms, now.ms);
  if (before().ms < low_.ms || late_s <= 0) return false;
  const float lasted_s = seconds_from(low_.ms, now.ms);
  return (now.used - before().used) * lasted_s < kRestShare * (now.used - low_.used) * late_s;
}

bool Rise::judge(Point now, float level) const {
  if (now.used >= level) return false;
  const float lasted_s = seconds_from(low_.ms, now.ms);
  const float late_s = seconds_from(before().ms, now.ms);
  if (!past_ceiling_ || lasted_s <= kDoubtS || late_s <= 0) return false;
  const float pace =
      std::min((now.used - low_.used) / lasted_s, (now.used - before().used) / late_s);
  return level - now.used <= pace * std::min(lasted_s - kDoubtS, kCarriesS);
}

void Rise::note(uint64_t now_ms, float used, float level, float band) {
  const Point now{is_known_ ? std::max(now_ms, past_[0].ms) : now_ms, used};
  if (!is_known_) low_ = now;
  keep(now);
  turn(now, level, band);
  if (rests(now)) {
    low_ = now;
  } else if (used <= low_.used + kLeastShare * band) {
    low_ = {now.ms, std::min(used, low_.used)};
  }
  if (seconds_from(ceiling_.ms, now.ms) > kCeilingS) ceiling_.used = 0;
  past_ceiling_ = ceiling_.used <= 0 || used > ceiling_.used + kCeilingShare * band;
  carries_ = judge(now, level);
}

}  // namespace elasticpool
