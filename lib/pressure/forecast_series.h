// Straight lines through the last seconds of a series of figures.
//
// Pure:      numbers in, numbers out.
// Figures    floats of one unit, a second apart, none negative, none above 2^64: what is
//            summed here fits. Nothing divides by a figure.
// Least squares, Theil and Sen: the usual line, and the median of the slopes between all pairs of
//            points (Theil 1950, Sen 1968): 29 % of the points may be anything. Pairs grow with the
//            square of the points, so that longer windows are first averaged into kTheilPoints.
// Cost       least squares: an addition a second. Theil-Sen: some 2 microseconds.
#pragma once

#include <cstdint>

namespace elasticpool {

// No series is longer.
inline constexpr uint32_t kHistoryS = 600;

struct Series {
  const float* oldest;
  uint32_t count;  // at least 1 wherever a function asks something of it

  float back(uint32_t ago_s) const { return oldest[count - 1 - ago_s]; }
  float last() const { return back(0); }
  Series latest(uint32_t seconds) const {
    return seconds >= count ? *this : Series{oldest + (count - seconds), seconds};
  }
};

// What a line says of now, and how it goes on.
struct Line {
  float level;
  float slope;  // a second

  float at(float ahead_s) const { return level + slope * ahead_s; }
};

inline constexpr uint32_t kTheilPoints = 16;

Line least_squares(Series window);
Line theil_sen(Series window);

// Both reorder what they are given. count at least 1.
float median_of(float* figures, uint32_t count);

struct Weighted {
  float figure;
  float weight;
};
// The least figure that has half of the weight at or below it. For a handful.
float weighted_median(Weighted* all, uint32_t count);

}  // namespace elasticpool
