// pressure/forecast_series.h: exact on lines, and what outliers do to each method.
#include "pressure/forecast_series.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace elasticpool {
namespace {

Series series_of(const std::vector<float>& figures) {
  return {figures.data(), static_cast<uint32_t>(figures.size())};
}

std::vector<float> line_of(size_t count, float level, float slope) {
  std::vector<float> figures;
  for (size_t i = 0; i < count; ++i) figures.push_back(level + slope * static_cast<float>(i));
  return figures;
}

TEST(Series, CountsBackFromTheLast) {
  const std::vector<float> figures = {1, 2, 3, 4};
  const Series all = series_of(figures);
  EXPECT_EQ(all.last(), 4);
  EXPECT_EQ(all.back(3), 1);
  EXPECT_EQ(all.latest(2).count, 2U);
  EXPECT_EQ(all.latest(2).oldest[0], 3);
  EXPECT_EQ(all.latest(9).count, 4U) << "no more than there is";
}

TEST(Lines, BothAreExactOnALine) {
  for (const size_t count : {2UL, 3UL, 19UL, 20UL, 21UL, 60UL, 119UL, 600UL}) {
    for (const float slope : {0.0F, 2.5F, -2.5F}) {
      const std::vector<float> figures = line_of(count, 5000, slope);
      for (const Line line : {least_squares(series_of(figures)), theil_sen(series_of(figures))}) {
        EXPECT_NEAR(line.slope, slope, 1e-3F) << count;
        EXPECT_NEAR(line.at(10), figures.back() + 10 * slope, 0.05F) << count;
      }
    }
  }
}

TEST(Lines, OneFigureIsALevel) {
  const std::vector<float> one = {7};
  EXPECT_EQ(least_squares(series_of(one)).at(100), 7);
  EXPECT_EQ(theil_sen(series_of(one)).at(100), 7);
}

TEST(Lines, AFifthOfOutliersDoesNotMoveTheilSen) {
  std::vector<float> figures = line_of(20, 100, 1);
  for (const size_t i : {3UL, 9UL, 15UL, 18UL}) figures[i] += 500;
  const Line robust = theil_sen(series_of(figures));
  EXPECT_NEAR(robust.slope, 1, 0.3F);
  EXPECT_NEAR(robust.at(0), 119, 5);
  const Line squares = least_squares(series_of(figures));
  EXPECT_GT(std::abs(squares.slope - 1), 5) << "or the outliers are none";
}

TEST(Lines, TheLargestFiguresStayFinite) {
  std::vector<float> figures(600, 0);
  for (size_t i = 0; i < figures.size(); i += 2) figures[i] = 18446744073709551616.0F;
  for (const Line line : {least_squares(series_of(figures)), theil_sen(series_of(figures))}) {
    EXPECT_TRUE(std::isfinite(line.at(600)));
  }
}

TEST(Median, OfOddAndEvenCounts) {
  float odd[] = {5, 1, 9};
  EXPECT_EQ(median_of(odd, 3), 5);
  float even[] = {8, 1, 9, 2};
  EXPECT_EQ(median_of(even, 4), 5);
  float one[] = {4};
  EXPECT_EQ(median_of(one, 1), 4);
}

TEST(Median, ByWeightNeedsHalfOfIt) {
  Weighted all[] = {{30, 1}, {10, 1}, {20, 1}};
  EXPECT_EQ(weighted_median(all, 3), 20);
  Weighted heavy[] = {{30, 5}, {10, 1}, {20, 1}};
  EXPECT_EQ(weighted_median(heavy, 3), 30);
  Weighted weightless[] = {{30, 0}, {10, 1}, {20, 0}};
  EXPECT_EQ(weighted_median(weightless, 3), 10);
}

}  // namespace
}  // namespace elasticpool
