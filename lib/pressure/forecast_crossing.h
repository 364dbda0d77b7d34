// The chance that usage passes a level within 120 s, and the alarm that follows it.
//
// Pure:      numbers in, numbers out.
// Chance     each horizon's centre lies so many scales below the level; the largest chance of the
//            three, by a logistic-like curve fitted to what happened in the traces for tuning.
// Alarm      on from kAlarmOn, off below kAlarmOff: an episode is not cut into pieces.
#pragma once

#include <algorithm>

#include "pressure/forecast_mix.h"

namespace elasticpool {

inline constexpr float kAlarmOn = 0.6F;
inline constexpr float kAlarmOff = 0.3F;

inline float crossing_chance(float last, const Mixed (&mixed)[kHorizons], float level) {
  if (last >= level) return 1;
  float most = -1000;
  for (const Mixed& m : mixed) {
    most = std::max(most, (m.centre - level) / (m.scale * m.reach + 1e-9F * level));
  }
  const float x = 3 * most;
  return (1 + x / (1 + (x < 0 ? -x : x))) / 2;
}

inline bool alarm_after(bool alarm, float chance) {
  return chance >= (alarm ? kAlarmOff : kAlarmOn);
}

}  // namespace elasticpool
