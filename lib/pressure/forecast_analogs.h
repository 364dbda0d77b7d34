// Forecasts from moments of the past whose recent shape resembles the present one.
//
// Pure:      numbers in, numbers out.
// Shape      the last seconds as kShapePoints points, `stride_s` apart, less their mean: a cycle on
//            top of a leak resembles itself one period ago, some bytes lower.
// Analogs    the kAnalogs moments at least the horizon ago whose shape differs least from now, no
//            two of one stretch of seconds; what followed each is a forecast, and the median by
//            weight of resemblance is said. (Lorenz 1969, Sugihara and May 1990: simplex
//            projection.)
// Season     the one lag at which the series resembles itself best after it once did not (the
//            average magnitude difference function, Ross et al. 1974): the period; it goes on by
//            whole periods, each with the rise that the last one had.
// Cost       some 2 microseconds each at 600 seconds of history.
#pragma once

#include <cstdint>

#include "pressure/forecast_series.h"

namespace elasticpool {

inline constexpr uint32_t kShapePoints = 12;
inline constexpr uint32_t kAnalogs = 5;

// How far the present shape is from that of each moment of the past, by how long ago that was.
class ShapeDistances {
 public:
  void compare(Series series, uint32_t stride_s);

  // Lags from 1 to this were compared; 0: the history is too short.
  uint32_t lags() const { return lags_; }
  // Mean difference of the points, less that of the means.
  float distance(uint32_t lag_s) const { return distance_[last_ - lag_s]; }
  // What now lies above then.
  float rise(uint32_t lag_s) const { return rise_[last_ - lag_s]; }

 private:
  uint32_t lags_ = 0;
  uint32_t last_ = 0;
  // By second of the series.
  float distance_[kHistoryS];
  float rise_[kHistoryS];
};

// Which moments of the past resemble now most, by stretches: neighbours of a moment resemble what
// it resembles, and one of them is enough.
class Analogs {
 public:
  // `level_weight`: how much of the rise counts as difference.
  void find(const ShapeDistances& distances, float level_weight);
  // `otherwise` where the past is too short. At least kShortestS.
  float forecast(Series series, uint32_t horizon_s, float otherwise) const;

 private:
  static constexpr uint32_t kStretchS = 8;
  static constexpr uint32_t kShortestS = 30;
  static constexpr uint32_t kStretches = (kHistoryS - kShortestS) / kStretchS + 1;

  struct Moment {
    float distance;
    uint32_t lag_s;
  };
  uint32_t count_ = 0;
  Moment nearest_[kStretches];
};

// A forecast by it is `otherwise` where there is none.
struct Season {
  uint32_t period_s;  // 0: none is seen
  float rise;         // over a period
};
Season find_season(Series series, const ShapeDistances& distances);
float seasonal_forecast(Series series, Season season, uint32_t horizon_s, float otherwise);

}  // namespace elasticpool
