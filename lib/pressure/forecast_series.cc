// Straight lines: sums about the middle of the window, so that large levels lose no digits.
#include "pressure/forecast_series.h"

#include <algorithm>

namespace elasticpool {

Line least_squares(Series window) {
  const uint32_t count = window.count;
  if (count < 2) return {window.last(), 0};
  const float middle = static_cast<float>(count - 1) / 2;
  const float reference = window.last();
  float sum = 0;
  float weighted_sum = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const float above = window.oldest[i] - reference;
    sum += above;
    weighted_sum += above * (static_cast<float>(i) - middle);
  }
  const auto n = static_cast<float>(count);
  const float slope = weighted_sum / (n * (n * n - 1) / 12);
  return {reference + sum / n + slope * middle, slope};
}

float median_of(float* figures, uint32_t count) {
  float* const middle = figures + count / 2;
  std::nth_element(figures, middle, figures + count);
  if (count % 2 != 0) return *middle;
  return (*middle + *std::max_element(figures, middle)) / 2;
}

float weighted_median(Weighted* all, uint32_t count) {
  float total = all[0].weight;
  for (uint32_t i = 1; i < count; ++i) {
    const Weighted moved = all[i];
    total += moved.weight;
    uint32_t place = i;
    for (; place > 0 && all[place - 1].figure > moved.figure; --place) all[place] = all[place - 1];
    all[place] = moved;
  }
  float passed = 0;
  for (uint32_t i = 0; i < count; ++i) {
    passed += all[i].weight;
    if (2 * passed >= total) return all[i].figure;
  }
  return all[count - 1].figure;
}

Line theil_sen(Series window) {
  // Bins of equal length that end at the last second.
  const uint32_t bin_s = (window.count + kTheilPoints - 1) / kTheilPoints;
  const uint32_t points = window.count / bin_s;
  const Series used = window.latest(points * bin_s);
  float means[kTheilPoints];
  for (uint32_t i = 0; i < points; ++i) {
    float sum = 0;
    for (uint32_t k = 0; k < bin_s; ++k) sum += used.oldest[i * bin_s + k] - window.last();
    means[i] = sum / static_cast<float>(bin_s);
  }
  if (points < 2) return {window.last() + means[0], 0};
  float slopes[kTheilPoints * (kTheilPoints - 1) / 2];
  uint32_t pairs = 0;
  for (uint32_t i = 0; i < points; ++i) {
    for (uint32_t j = i + 1; j < points; ++j) {
      slopes[pairs++] = (means[j] - means[i]) / static_cast<float>(j - i);
    }
  }
  const float slope = median_of(slopes, pairs) / static_cast<float>(bin_s);
  // Each point moved to the present along the slope: the median of them is the level.
  const float half_bin_s = static_cast<float>(bin_s - 1) / 2;
  for (uint32_t i = 0; i < points; ++i) {
    const auto end_s = static_cast<float>((points - 1 - i) * bin_s);
    means[i] += slope * (end_s + half_bin_s);
  }
  return {window.last() + median_of(means, points), slope};
}

}  // namespace elasticpool
