// Shapes are compared for several neighbouring moments at once, and what is added up stays in
// registers.
#include "pressure/forecast_analogs.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace elasticpool {

namespace {

// Four neighbouring seconds. (Left to itself, gcc 12 vectorises the sums' inner loop only in part.)
using Lanes = float __attribute__((vector_size(16)));
using LaneBits = uint32_t __attribute__((vector_size(16)));
constexpr uint32_t kLanes = 4;

Lanes load(const float* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

void store(float* to, Lanes lanes) { std::memcpy(to, &lanes, sizeof lanes); }

Lanes magnitudes(Lanes lanes) {
  constexpr uint32_t kAllButSign = 0x7fffffff;
  return std::bit_cast<Lanes>(std::bit_cast<LaneBits>(lanes) & kAllButSign);
}

}  // namespace

void ShapeDistances::compare(Series series, uint32_t stride_s) {
  const uint32_t span_s = (kShapePoints - 1) * stride_s;
  last_ = series.count - 1;
  lags_ = last_ > span_s + kLanes ? last_ - span_s : 0;
  if (lags_ == 0) return;
  constexpr float kShare = 1.0F / kShapePoints;
  float now[kShapePoints];
  float now_mean = 0;
  for (uint32_t p = 0; p < kShapePoints; ++p) {
    now[p] = series.back(p * stride_s);
    now_mean += now[p] * kShare;
  }
  for (uint32_t from = span_s; from < last_; from += kLanes) {
    // The last four end at the last moment, and overlap those before.
    const uint32_t at = std::min(from, last_ - kLanes);
    Lanes sum{};
    for (uint32_t p = 0; p < kShapePoints; ++p) sum += load(series.oldest + (at - p * stride_s));
    const Lanes rise = now_mean - sum * kShare;
    Lanes distance{};
    for (uint32_t p = 0; p < kShapePoints; ++p) {
      distance += magnitudes(now[p] - load(series.oldest + (at - p * stride_s)) - rise);
    }
    store(rise_ + at, rise);
    store(distance_ + at, distance * kShare);
  }
}

namespace {

float magnitude(float x) { return x < 0 ? -x : x; }

}  // namespace

void Analogs::find(const ShapeDistances& distances, float level_weight) {
  count_ = 0;
  for (uint32_t from = kShortestS; from <= distances.lags(); from += kStretchS) {
    const uint32_t to = std::min(from + kStretchS - 1, distances.lags());
    Moment nearest{0, 0};
    for (uint32_t lag = from; lag <= to; ++lag) {
      const float d = distances.distance(lag) + level_weight * magnitude(distances.rise(lag));
      if (nearest.lag_s == 0 || d < nearest.distance) nearest = {d, lag};
    }
    nearest_[count_++] = nearest;
  }
}

float Analogs::forecast(Series series, uint32_t horizon_s, float otherwise) const {
  Moment best[kAnalogs];
  uint32_t found = 0;
  // From the first stretch on of whose moments all is known that followed.
  for (uint32_t i = (horizon_s - kShortestS + kStretchS - 1) / kStretchS; i < count_; ++i) {
    const Moment& here = nearest_[i];
    if (found == kAnalogs && here.distance >= best[found - 1].distance) continue;
    uint32_t place = found < kAnalogs ? found++ : found - 1;
    for (; place > 0 && best[place - 1].distance > here.distance; --place) {
      best[place] = best[place - 1];
    }
    best[place] = here;
  }
  if (found == 0) return otherwise;
  Weighted said[kAnalogs];
  const float softening = best[0].distance + 1e-6F * series.last() + 1e-9F;
  for (uint32_t i = 0; i < found; ++i) {
    const float then = series.back(best[i].lag_s);
    const float after = series.back(best[i].lag_s - horizon_s);
    const float closeness = softening / (best[i].distance + softening);
    said[i] = {series.last() + (after - then), closeness * closeness};
  }
  return weighted_median(said, found);
}

Season find_season(Series series, const ShapeDistances& distances) {
  const uint32_t lags = distances.lags();
  if (lags < 8) return {0, 0};
  float mean = 0;
  for (uint32_t lag = 1; lag <= lags; ++lag) mean += distances.distance(lag);
  mean /= static_cast<float>(lags);
  // Differences of rounding are none.
  if (mean < 1e-4F * series.last()) return {0, 0};
  // Near lags resemble the present because nothing happened in between.
  uint32_t lag = 1;
  while (lag <= lags && distances.distance(lag) < mean) ++lag;
  uint32_t best = 0;
  for (; lag <= lags; ++lag) {
    // The first of several that are alike: not every other period.
    const float clearly = (best == 0 ? 0 : 0.9F * distances.distance(best)) - 0.02F * mean;
    if (best == 0 || distances.distance(lag) < clearly) best = lag;
  }
  if (best == 0 || distances.distance(best) > 0.5F * mean) return {0, 0};
  return {best, distances.rise(best)};
}

float seasonal_forecast(Series series, Season season, uint32_t horizon_s, float otherwise) {
  if (season.period_s == 0) return otherwise;
  const uint32_t periods = (horizon_s + season.period_s - 1) / season.period_s;
  const uint32_t lag_s = periods * season.period_s - horizon_s;
  if (lag_s >= series.count) return otherwise;
  return series.back(lag_s) + static_cast<float>(periods) * season.rise;
}

}  // namespace elasticpool
