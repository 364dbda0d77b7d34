// pressure/forecast.h: every promise about samples, limits, horizons and levels.
#include "pressure/forecast.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>

namespace elasticpool {
namespace {

constexpr uint64_t kMiBytes = 1 << 20;
constexpr uint64_t kLimit = 1000 * kMiBytes;

constinit Forecaster g_forecaster;

std::unique_ptr<Forecaster> forecaster_of(ForecastMethod method) {
  auto forecaster = std::make_unique<Forecaster>();
  forecaster->configure(method, kUsualLevelsPercent);
  return forecaster;
}

PressureSample sample_of(uint64_t now_ms, uint64_t used_bytes, uint64_t limit_bytes = kLimit) {
  return {now_ms, used_bytes, limit_bytes, 0, 0, 0};
}

void expect_sane(const Outlook& outlook, const std::string& when) {
  for (const Forecast& f : outlook.forecasts) {
    EXPECT_GE(f.confidence, 0) << when;
    EXPECT_LE(f.confidence, 1) << when;
    EXPECT_LE(f.low_bytes, f.used_bytes) << when;
    EXPECT_LE(f.used_bytes, f.high_bytes) << when;
  }
  for (uint32_t i = 1; i < kLevels; ++i) {
    EXPECT_GE(outlook.seconds_to[i], outlook.seconds_to[i - 1]) << when;
  }
  for (const uint32_t s : outlook.seconds_to) {
    EXPECT_TRUE(s <= kForeseenS || s == UINT32_MAX) << when << ": " << s;
  }
  EXPECT_GE(outlook.crossing, 0) << when;
  EXPECT_LE(outlook.crossing, 1) << when;
}

TEST(Forecaster, StaysWithinItsStateAndBeginsAllZero) {
  EXPECT_LE(sizeof(Forecaster), 24U * 1024);
  const auto* bytes = reinterpret_cast<const unsigned char*>(&g_forecaster);
  for (size_t i = 0; i < sizeof g_forecaster; ++i) ASSERT_EQ(bytes[i], 0) << i;
}

TEST(Forecaster, KnowsNothingBeforeTheFirstSample) {
  const Outlook outlook = g_forecaster.outlook();
  expect_sane(outlook, "empty");
  EXPECT_EQ(outlook.forecasts[2].horizon_s, 120U);
  EXPECT_EQ(outlook.forecasts[0].confidence, 0);
  EXPECT_EQ(outlook.seconds_to[0], UINT32_MAX);
  EXPECT_FALSE(outlook.alarm);
}

TEST(Forecaster, LinearIsExactOnALine) {
  const auto forecaster = forecaster_of(ForecastMethod::kLinear);
  for (uint64_t s = 0; s < 100; ++s) {
    forecaster->observe(sample_of(s * 1000, (200 + s) * kMiBytes));
  }
  const Outlook outlook = forecaster->outlook();
  for (const Forecast& f : outlook.forecasts) {
    const auto truth = static_cast<double>((299 + f.horizon_s) * kMiBytes);
    EXPECT_NEAR(static_cast<double>(f.used_bytes), truth, 0.01 * kMiBytes);
  }
  EXPECT_NEAR(outlook.seconds_to[0], 700 - 299, 1);
  EXPECT_NEAR(outlook.seconds_to[1], 800 - 299, 1);
  EXPECT_EQ(outlook.seconds_to[2], UINT32_MAX) << "in 601 s: later than is foreseen";
  EXPECT_EQ(outlook.trend, PressureTrend::kIncreasing);
}

TEST(Forecaster, LastSaysThatAllStays) {
  const auto forecaster = forecaster_of(ForecastMethod::kLast);
  for (uint64_t s = 0; s < 100; ++s) {
    forecaster->observe(sample_of(s * 1000, (200 + s) * kMiBytes));
  }
  for (const Forecast& f : forecaster->outlook().forecasts) {
    EXPECT_EQ(f.used_bytes, 299 * kMiBytes);
  }
  EXPECT_EQ(forecaster->outlook().trend, PressureTrend::kStable);
}

TEST(Forecaster, MixedFollowsALeakThroughSpikes) {
  const auto mixed = forecaster_of(ForecastMethod::kMixed);
  const auto linear = forecaster_of(ForecastMethod::kLinear);
  for (uint64_t s = 0; s < 400; ++s) {
    // A spike in the last quarter of a minute bends a least squares line.
    const uint64_t spike = s >= 390 ? 150 : 0;
    const PressureSample sample = sample_of(s * 1000, (200 + s + spike) * kMiBytes);
    mixed->observe(sample);
    linear->observe(sample);
  }
  const auto truth = static_cast<double>((599 + 60) * kMiBytes);
  const double off_mixed =
      std::abs(static_cast<double>(mixed->outlook().forecasts[1].used_bytes) - truth);
  const double off_linear =
      std::abs(static_cast<double>(linear->outlook().forecasts[1].used_bytes) - truth);
  EXPECT_LT(off_mixed, off_linear);
}

TEST(Forecaster, WhatIsForeseenLiesBetweenTheLeastSoFarAndTheLimit) {
  const auto up = forecaster_of(ForecastMethod::kMixed);
  const auto down = forecaster_of(ForecastMethod::kMixed);
  const auto line = forecaster_of(ForecastMethod::kLinear);
  for (uint64_t s = 0; s < 150; ++s) {
    up->observe(sample_of(s * 1000, (100 + 5 * s) * kMiBytes));
    line->observe(sample_of(s * 1000, (100 + 5 * s) * kMiBytes));
    down->observe(sample_of(s * 1000, (900 - 5 * s) * kMiBytes));
  }
  for (uint32_t h = 0; h < kHorizons; ++h) {
    EXPECT_LE(up->outlook().forecasts[h].used_bytes, kLimit / 100 * 95 + kMiBytes) << h;
    EXPECT_GE(down->outlook().forecasts[h].used_bytes, (900 - 5 * 149 - 1) * kMiBytes) << h;
  }
  EXPECT_GT(up->outlook().forecasts[2].used_bytes, kLimit / 100 * 94);
  EXPECT_NEAR(up->outlook().seconds_to[3], 21, 3) << "as if nothing held it";
  EXPECT_GT(line->outlook().forecasts[2].used_bytes, kLimit) << "it says what the line says";
  // A limit that was passed is none.
  for (uint64_t s = 150; s < 260; ++s) up->observe(sample_of(s * 1000, (100 + 5 * s) * kMiBytes));
  EXPECT_GT(up->outlook().forecasts[2].used_bytes, (100 + 5 * 320) * kMiBytes);
}

TEST(Forecaster, AGapIsAsIfTheLastValueWereHeld) {
  const auto gaps = forecaster_of(ForecastMethod::kLinear);
  const auto held = forecaster_of(ForecastMethod::kLinear);
  uint64_t used = 100;
  for (uint64_t s = 0; s < 900; ++s) {
    const bool seen = s < 50 || s % 37 == 0 || s == 899;
    if (seen) used = 100 + s * s % 191;
    held->observe(sample_of(s * 1000, used * kMiBytes));
    if (seen) gaps->observe(sample_of(s * 1000, used * kMiBytes));
  }
  for (uint32_t h = 0; h < kHorizons; ++h) {
    EXPECT_EQ(gaps->outlook().forecasts[h].used_bytes, held->outlook().forecasts[h].used_bytes);
    // What came true in the gap was counted, too.
    EXPECT_NEAR(gaps->outlook().forecasts[h].confidence, held->outlook().forecasts[h].confidence,
                0.4F);
  }
}

TEST(Forecaster, GapsOfAnyLengthAreFine) {
  for (const uint64_t gap_s : {1UL, 29UL, 31UL, 119UL, 121UL, 122UL, 599UL, 600UL, 100'000UL}) {
    const auto forecaster = forecaster_of(ForecastMethod::kMixed);
    uint64_t now_s = 1;
    for (uint64_t i = 0; i < 300; ++i) {
      forecaster->observe(sample_of(now_s * 1000, (100 + i % 50) * kMiBytes));
      now_s += i % 40 == 39 ? gap_s : 1;
      expect_sane(forecaster->outlook(), "gap " + std::to_string(gap_s));
    }
  }
  const auto forecaster = forecaster_of(ForecastMethod::kMixed);
  forecaster->observe(sample_of(0, kMiBytes));
  forecaster->observe(sample_of(UINT64_MAX, kMiBytes));
  expect_sane(forecaster->outlook(), "the longest");
}

TEST(Forecaster, OfSeveralSamplesASecondTheLastCounts) {
  const auto often = forecaster_of(ForecastMethod::kLinear);
  const auto once = forecaster_of(ForecastMethod::kLinear);
  for (uint64_t s = 0; s < 200; ++s) {
    for (const uint64_t ms : {0UL, 250UL, 500UL}) {
      often->observe(sample_of(s * 1000 + ms, (900 - ms) * kMiBytes));
    }
    often->observe(sample_of(s * 1000 + 750, (200 + s) * kMiBytes));
    once->observe(sample_of(s * 1000 + 750, (200 + s) * kMiBytes));
  }
  for (uint32_t h = 0; h < kHorizons; ++h) {
    const Forecast a = often->outlook().forecasts[h];
    const Forecast b = once->outlook().forecasts[h];
    EXPECT_EQ(a.used_bytes, b.used_bytes);
    EXPECT_EQ(a.low_bytes, b.low_bytes);
    EXPECT_EQ(a.confidence, b.confidence);
  }
}

TEST(Forecaster, TimeThatGoesBackIsNoTime) {
  const auto forecaster = forecaster_of(ForecastMethod::kLast);
  forecaster->observe(sample_of(50'000, 10 * kMiBytes));
  forecaster->observe(sample_of(10'000, 20 * kMiBytes));
  EXPECT_EQ(forecaster->outlook().forecasts[0].used_bytes, 20 * kMiBytes);
  forecaster->observe(sample_of(51'000, 30 * kMiBytes));
  EXPECT_EQ(forecaster->outlook().forecasts[0].used_bytes, 30 * kMiBytes);
}

TEST(Forecaster, ALoweredLimitCountsAtOnce) {
  const auto forecaster = forecaster_of(ForecastMethod::kMixed);
  for (uint64_t s = 0; s < 200; ++s) forecaster->observe(sample_of(s * 1000, 400 * kMiBytes));
  EXPECT_EQ(forecaster->outlook().seconds_to[0], UINT32_MAX);
  EXPECT_FALSE(forecaster->outlook().alarm);
  forecaster->observe(sample_of(200'000, 400 * kMiBytes, 430 * kMiBytes));
  const Outlook low = forecaster->outlook();
  EXPECT_EQ(low.seconds_to[2], 0U);
  EXPECT_EQ(low.seconds_to[3], UINT32_MAX) << "95 % are not reached";
  EXPECT_EQ(low.crossing, 1);
  EXPECT_TRUE(low.alarm);
  EXPECT_EQ(low.trend, PressureTrend::kCritical);
  EXPECT_EQ(low.forecasts[0].used_bytes, 400 * kMiBytes) << "usage did not change";
  for (uint64_t s = 201; s < 260; ++s) forecaster->observe(sample_of(s * 1000, 400 * kMiBytes));
  EXPECT_FALSE(forecaster->outlook().alarm) << "the limit was raised again";
}

TEST(Forecaster, WithoutALimitNothingIsReached) {
  for (const uint64_t none : {uint64_t{0}, UINT64_MAX}) {
    const auto forecaster = forecaster_of(ForecastMethod::kMixed);
    for (uint64_t s = 0; s < 300; ++s) {
      forecaster->observe(sample_of(s * 1000, s * kMiBytes, none));
      expect_sane(forecaster->outlook(), "no limit");
    }
    const Outlook outlook = forecaster->outlook();
    for (const uint32_t s : outlook.seconds_to) EXPECT_EQ(s, UINT32_MAX);
    EXPECT_EQ(outlook.crossing, 0);
    EXPECT_FALSE(outlook.alarm);
    EXPECT_EQ(outlook.trend, PressureTrend::kIncreasing);
    EXPECT_NEAR(static_cast<double>(outlook.forecasts[1].used_bytes), 359.0 * kMiBytes,
                20.0 * kMiBytes);
  }
}

TEST(Forecaster, NoFigureIsTooLargeOrTooSmall) {
  std::mt19937_64 random(7);
  const uint64_t extremes[] = {0, 1, 4096, kMiBytes, kLimit, UINT64_MAX / 2, UINT64_MAX};
  for (const ForecastMethod method :
       {ForecastMethod::kLast, ForecastMethod::kLinear, ForecastMethod::kMixed}) {
    const auto forecaster = forecaster_of(method);
    uint64_t now_ms = 0;
    for (int i = 0; i < 3000; ++i) {
      now_ms += random() % 2000;
      const uint64_t used_bytes = extremes[random() % std::size(extremes)];
      const uint64_t limit_bytes = extremes[random() % std::size(extremes)];
      forecaster->observe({now_ms, used_bytes, limit_bytes, random(), random(), random()});
      expect_sane(forecaster->outlook(), std::to_string(i));
    }
  }
}

// Usage that wanders about a level: the share of stated intervals that held the truth.
TEST(Forecaster, IntervalsHoldOnNoise) {
  std::mt19937 random(99);
  std::normal_distribution<double> noise(0, 12);
  const auto forecaster = forecaster_of(ForecastMethod::kMixed);
  constexpr size_t kSeconds = 6000;
  std::vector<double> used;
  std::vector<Outlook> outlooks;
  double level = 500;
  for (size_t s = 0; s < kSeconds; ++s) {
    level += 0.05 * (500 - level) + noise(random);
    used.push_back(level);
    forecaster->observe(sample_of(s * 1000, static_cast<uint64_t>(level * kMiBytes)));
    outlooks.push_back(forecaster->outlook());
  }
  for (uint32_t h = 0; h < kHorizons; ++h) {
    double inside = 0;
    double right = 0;
    double stated = 0;
    size_t count = 0;
    for (size_t s = 600; s + kHorizonsS[h] < kSeconds; ++s) {
      const Forecast& f = outlooks[s].forecasts[h];
      const double truth = used[s + kHorizonsS[h]] * kMiBytes;
      ++count;
      stated += f.confidence;
      if (static_cast<double>(f.low_bytes) <= truth && truth <= static_cast<double>(f.high_bytes)) {
        ++inside;
      }
      if (std::abs(static_cast<double>(f.used_bytes) - truth) <= 0.1 * kLimit) ++right;
    }
    const auto n = static_cast<double>(count);
    EXPECT_NEAR(inside / n, 0.9, 0.04) << h;
    // At 120 s it is right more often than it says.
    EXPECT_NEAR(stated / n, right / n, 0.13) << h;
  }
}

TEST(Forecaster, ALeakIsForeseenAndAFlatLineIsNot) {
  const auto leak = forecaster_of(ForecastMethod::kMixed);
  const auto flat = forecaster_of(ForecastMethod::kMixed);
  uint64_t alarm_s = 0;
  for (uint64_t s = 0; s < 600; ++s) {
    leak->observe(sample_of(s * 1000, (300 + s) * kMiBytes));
    flat->observe(sample_of(s * 1000, (600 + s % 7) * kMiBytes));
    if (alarm_s == 0 && leak->outlook().alarm) alarm_s = s;
    ASSERT_FALSE(flat->outlook().alarm) << s;
  }
  ASSERT_GT(alarm_s, 0U);
  EXPECT_LE(alarm_s, 600U - 60) << "90 % are reached at 600 s";
  EXPECT_GE(alarm_s, 600U - 250);
  EXPECT_EQ(leak->outlook().alarms, 1U);
  EXPECT_EQ(leak->outlook().trend, PressureTrend::kCritical);
  EXPECT_EQ(flat->outlook().trend, PressureTrend::kStable);
}

TEST(Forecaster, TrendsHaveADirection) {
  const auto forecaster = forecaster_of(ForecastMethod::kMixed);
  for (uint64_t s = 0; s < 120; ++s) {
    forecaster->observe(sample_of(s * 1000, (700 - 3 * s) * kMiBytes));
  }
  EXPECT_EQ(forecaster->outlook().trend, PressureTrend::kDecreasing);
}

// Usage that is flat for 60 s, then makes up for what was allocated meanwhile: the totals know.
TEST(Forecaster, TotalsAreOneMoreWitness) {
  const auto told = forecaster_of(ForecastMethod::kMixed);
  told->ask_only(1U << kExpertFlow);
  const auto by_live = forecaster_of(ForecastMethod::kMixed);
  by_live->ask_only(1U << kExpertFlow);
  for (uint64_t s = 0; s < 300; ++s) {
    PressureSample sample = sample_of(s * 1000, 300 * kMiBytes);
    sample.allocated_bytes = 1000 * kMiBytes + 3 * s * kMiBytes;
    sample.released_bytes = 2 * s * kMiBytes;
    told->observe(sample);
    sample.allocated_bytes = sample.released_bytes = 0;
    sample.live_bytes = (10 + s) * kMiBytes;
    by_live->observe(sample);
  }
  for (const auto* forecaster : {told.get(), by_live.get()}) {
    const Outlook outlook = forecaster->outlook();
    // 1 MiB a second, fading: 60 s carry as far as 30 whole ones.
    EXPECT_NEAR(static_cast<double>(outlook.forecasts[1].used_bytes), 330.0 * kMiBytes,
                1.0 * kMiBytes);
  }
}

TEST(Forecaster, LevelsAreAsConfigured) {
  const auto forecaster = forecaster_of(ForecastMethod::kLinear);
  const uint8_t levels[] = {30, 40, 50, 60};
  forecaster->configure(ForecastMethod::kLinear, levels);
  for (uint64_t s = 0; s < 100; ++s) {
    forecaster->observe(sample_of(s * 1000, (300 + s) * kMiBytes));
  }
  const Outlook outlook = forecaster->outlook();
  EXPECT_EQ(outlook.seconds_to[0], 0U);
  EXPECT_NEAR(outlook.seconds_to[1], 1, 1);
  EXPECT_NEAR(outlook.seconds_to[2], 101, 1);
  EXPECT_NEAR(outlook.seconds_to[3], 201, 1);
}

TEST(Forecaster, AResetForgetsAllButTheConfiguration) {
  const auto used = forecaster_of(ForecastMethod::kLinear);
  for (uint64_t s = 0; s < 700; ++s) used->observe(sample_of(s * 1000, s * kMiBytes));
  used->reset();
  const auto fresh = forecaster_of(ForecastMethod::kLinear);
  EXPECT_EQ(std::memcmp(used.get(), fresh.get(), sizeof(Forecaster)), 0);
}

}  // namespace
}  // namespace elasticpool
