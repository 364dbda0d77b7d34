// What each simple method says of the next 30, 60 and 120 seconds.
//
// Pure:      a function of the last seconds; who is right how often is forecast_mix.h's concern.
// Damping    a trend that fades: after h seconds it has carried as far as tau * h / (tau + h) whole
//            ones (after Gardner and McKenzie 1985, whose fading is exponential).
// Cost       all of them 20 to 25 microseconds at 600 seconds of history.
#pragma once

#include <cstdint>

#include "pressure/forecast_series.h"

namespace elasticpool {

inline constexpr uint32_t kHorizonsS[3] = {30, 60, 120};
inline constexpr uint32_t kHorizons = 3;
inline constexpr uint32_t kHorizonMaxS = 120;

enum Expert : uint8_t {
  kExpertLast,    // as it is now
  kExpertLinear,  // least squares over 60 s
  // Theil-Sen over so many seconds, carried on from its level; over all from the last figure.
  kExpertTheil30,
  kExpertTheil60,
  kExpertTheil120,
  kExpertTheilAll,
  // The same slopes from the last figure, fading.
  kExpertDamped30,
  kExpertDamped120,
  kExpertDamped15,
  kExpertDamped60,
  kExpertHolt,   // level and trend by exponential smoothing (Holt 1957), fading
  kExpertCurve,  // the slope goes on changing as it did
  kExpertLevel,  // the median of 60 s
  // forecast_analogs.h: by the period; by shapes of 88, 33 and 11 s, with the level or without.
  kExpertSeason,
  kExpertAnalog,
  kExpertAnalogLevel,
  kExpertAnalogShort,
  kExpertAnalogSame,
  kExpertFlow,  // what is allocated less what is released goes on, fading
  kExperts
};
inline constexpr uint32_t kAllExperts = (1U << kExperts) - 1;
// Those who need nothing but usage.
inline constexpr uint32_t kUsageExperts = kAllExperts & ~(1U << kExpertFlow);

struct Opinions {
  float says[kHorizons][kExperts];
};

// usage.count at least 1. `flow`: allocated less released, a second.
void ask_experts(Series usage, float flow, Opinions* opinions);

}  // namespace elasticpool
