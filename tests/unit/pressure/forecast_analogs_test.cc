// pressure/forecast_analogs.h: cycles are found and go on, whatever lies under them.
#include "pressure/forecast_analogs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace elasticpool {
namespace {

constexpr uint32_t kStrideS = 8;

// A ramp that falls back after each period, on top of a leak.
float sawtooth(uint32_t second, uint32_t period_s, float leak) {
  return 1000 + 10 * static_cast<float>(second % period_s) + leak * static_cast<float>(second);
}

std::vector<float> sawteeth(uint32_t count, uint32_t period_s, float leak) {
  std::vector<float> figures;
  for (uint32_t i = 0; i < count; ++i) figures.push_back(sawtooth(i, period_s, leak));
  return figures;
}

TEST(Season, FindsThePeriodAndGoesOn) {
  for (const uint32_t period_s : {40U, 75U, 130U, 200U}) {
    for (const float leak : {0.0F, 0.5F}) {
      const std::vector<float> figures = sawteeth(600, period_s, leak);
      const Series all{figures.data(), 600};
      ShapeDistances distances;
      distances.compare(all, kStrideS);
      const Season season = find_season(all, distances);
      ASSERT_EQ(season.period_s % period_s, 0U) << period_s;
      ASSERT_GT(season.period_s, 0U) << period_s;
      for (const uint32_t horizon_s : {30U, 60U, 120U}) {
        const float truth = sawtooth(599 + horizon_s, period_s, leak);
        EXPECT_NEAR(seasonal_forecast(all, season, horizon_s, 0), truth, 2) << period_s;
      }
    }
  }
}

TEST(Season, ALineHasNone) {
  std::vector<float> figures;
  for (int i = 0; i < 600; ++i) figures.push_back(static_cast<float>(100 + i));
  const Series all{figures.data(), 600};
  ShapeDistances distances;
  distances.compare(all, kStrideS);
  const Season season = find_season(all, distances);
  EXPECT_EQ(season.period_s, 0U);
  EXPECT_EQ(seasonal_forecast(all, season, 60, 7), 7);
}

TEST(Analogs, WhatFollowedThenFollowsNow) {
  // The same ramp after pauses of different length: no period, but the past knows how it goes on.
  std::vector<float> figures;
  for (const uint32_t pause_s : {50U, 90U, 70U, 110U}) {
    figures.insert(figures.end(), pause_s, 500);
    for (int i = 0; i < 60; ++i) figures.push_back(500 + 10 * static_cast<float>(i));
  }
  figures.insert(figures.end(), 80, 500);
  for (int i = 0; i < 25; ++i) figures.push_back(500 + 10 * static_cast<float>(i));
  if (figures.size() > kHistoryS) figures.erase(figures.begin(), figures.end() - kHistoryS);
  const Series all{figures.data(), static_cast<uint32_t>(figures.size())};
  ShapeDistances distances;
  distances.compare(all, 3);
  Analogs analogs;
  analogs.find(distances, 0);
  EXPECT_NEAR(analogs.forecast(all, 30, 0), 500 + 10 * 54, 40) << "the ramp goes on";
  EXPECT_NEAR(analogs.forecast(all, 60, 0), 500, 60) << "and falls back after 60 s";
}

TEST(Analogs, AShortHistoryHasNone) {
  const std::vector<float> figures = sawteeth(40, 20, 0);
  for (uint32_t count = 1; count <= 40; ++count) {
    const Series all{figures.data(), count};
    ShapeDistances distances;
    distances.compare(all, kStrideS);
    EXPECT_EQ(distances.lags(), 0U);
    Analogs analogs;
    analogs.find(distances, 0);
    EXPECT_EQ(analogs.forecast(all, 30, 7), 7);
    EXPECT_EQ(find_season(all, distances).period_s, 0U);
  }
}

}  // namespace
}  // namespace elasticpool
