// Shapes are compared point by point for all lags at once: the inner loops run over the lag, which
// lies in one piece of memory and vectorises.
#include "pressure/forecast_analogs.h"

#include <algorithm>

namespace elasticpool {

void ShapeDistances::compare(Series series, uint32_t stride_s) {
  const uint32_t span_s = (kShapePoints - 1) * stride_s;
  lags_ = series.count > span_s + 1 ? std::min(series.count - span_s - 1, kHistoryS - 1) : 0;
  if (lags_ == 0) return;
  std::fill(rise_, rise_ + lags_ + 1, 0.0F);
  std::fill(distance_, distance_ + lags_ + 1, 0.0F);
  constexpr float kShare = 1.0F / kShapePoints;
  for (uint32_t p = 0; p < kShapePoints; ++p) {
    const float* const now = series.oldest + (series.count - 1 - p * stride_s);
    const float value = *now;
    for (uint32_t lag = 1; lag <= lags_; ++lag) rise_[lag] += (value - now[-int64_t{lag}]) * kShare;
  }
  for (uint32_t p = 0; p < kShapePoints; ++p) {
    const float* const now = series.oldest + (series.count - 1 - p * stride_s);
    const float value = *now;
    for (uint32_t lag = 1; lag <= lags_; ++lag) {
      const float above = value - now[-int64_t{lag}] - rise_[lag];
      distance_[lag] += (above < 0 ? -above : above) * kShare;
    }
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
