// What alarms of the whole forecaster must do, on made usage of many kinds: teeth of a saw, ramps,
// plateaus. Sampled as the governor does it: each second, with a glance at each growth between.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "pressure/forecast.h"

namespace elasticpool {
namespace {

constexpr uint64_t kMiBytes = 1 << 20;
constexpr uint64_t kLimit = 256 * kMiBytes;
constexpr double kLevelPercent = 90;
constexpr int kSeeds = 50;

// Usage in per cent of the limit, each 100 ms.
using Usage = std::vector<double>;

struct Alarms {
  uint32_t count = 0;
  double first_s = -1;
  double alarmed_s = 0;
};

class Made {
 public:
  explicit Made(int seed) : random_(static_cast<unsigned>(seed)) {}

  double between(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random_);
  }
  Usage flat(double percent, double seconds, double noise) {
    Usage usage;
    for (int i = 0; i < seconds * 10; ++i) usage.push_back(percent + between(-noise, noise));
    return usage;
  }
  // Up to the level.
  Usage ramp(double from_percent, double per_s) {
    Usage usage;
    for (double now = from_percent; now < kLevelPercent;) {
      now += per_s / 10 * between(0.8, 1.2);
      usage.push_back(now);
    }
    return usage;
  }
  static Usage teeth(double low, double high, double tooth_s, double seconds) {
    Usage usage;
    const int steps = static_cast<int>(tooth_s * 10);
    for (int i = 0; i < seconds * 10; ++i) {
      usage.push_back(low + (high - low) * (i % steps) / (steps - 1));
    }
    return usage;
  }
  Alarms alarms_of(const Usage& usage);

 private:
  std::mt19937 random_;
};

Usage operator+(Usage before, const Usage& after) {
  before.insert(before.end(), after.begin(), after.end());
  return before;
}

Alarms Made::alarms_of(const Usage& usage) {
  const auto forecaster = std::make_unique<Forecaster>();
  forecaster->configure(ForecastMethod::kMixed, kUsualLevelsPercent);
  const auto phase_ms = static_cast<uint64_t>(between(0, 1000));
  uint64_t sampled_ms = 0;
  double looked_at = 0;
  Alarms alarms;
  for (size_t i = 0; i < usage.size(); ++i) {
    const uint64_t now_ms = 1'000'000 + phase_ms + i * 100;
    const auto used = static_cast<uint64_t>(usage[i] / 100 * kLimit);
    const PressureSample sample{now_ms, used, kLimit, used, 0, 0};
    if (now_ms - sampled_ms >= 1000) {
      forecaster->observe(sample);
      sampled_ms = now_ms;
      looked_at = usage[i];
    } else if (usage[i] - looked_at >= 1) {
      forecaster->glance(sample);
      looked_at = usage[i];
    }
    looked_at = std::min(looked_at, usage[i]);
    const Outlook outlook = forecaster->outlook();
    alarms.alarmed_s += outlook.alarm ? 0.1 : 0;
    alarms.count = outlook.alarms;
    if (alarms.first_s < 0 && outlook.alarms > 0) alarms.first_s = static_cast<double>(i) / 10;
  }
  return alarms;
}

struct Saw {
  double low[2];  // per cent, from and to
  double high[2];
  double tooth_s[2];
  double seconds;
  uint32_t alarms_most;  // of all seeds together
};

TEST(Alarms, OfASawAreFew) {
  // What goes no higher than two thirds gives none. Above that the first tooth looks like the ramps
  // below for as long as it rises, unless it is short; no other one does.
  for (const Saw& saw :
       {Saw{{27, 42}, {58, 67}, {2, 6}, 40, 0}, Saw{{27, 42}, {58, 67}, {2, 6}, 150, 0},
        Saw{{27, 42}, {58, 66}, {6, 30}, 150, 5}, Saw{{27, 42}, {70, 78}, {2, 6}, 60, 1},
        Saw{{27, 42}, {70, 78}, {8, 30}, 150, kSeeds}}) {
    uint32_t all = 0;
    for (int seed = 0; seed < kSeeds; ++seed) {
      Made made(seed);
      const double low = made.between(saw.low[0], saw.low[1]);
      const double high = made.between(saw.high[0], saw.high[1]);
      const double tooth_s = made.between(saw.tooth_s[0], saw.tooth_s[1]);
      const uint32_t count = made.alarms_of(Made::teeth(low, high, tooth_s, saw.seconds)).count;
      EXPECT_LE(count, 1U) << low << " to " << high << " in " << tooth_s << " s";
      all += count;
    }
    EXPECT_LE(all, saw.alarms_most) << saw.high[1] << " % in " << saw.tooth_s[1] << " s";
  }
}

// 16 % and 3.9 % a second are 40 MiB and 10 MiB a second in a group of 256 MiB.
TEST(Alarms, OfARampComeInTime) {
  for (const double flat_s : {0.0, 5.0, 60.0, 300.0}) {
    int in_time = 0;
    for (int seed = 0; seed < kSeeds; ++seed) {
      Made made(seed);
      const Usage usage = made.flat(16, flat_s, 0.7) + made.ramp(16, 3.9);
      const Alarms alarms = made.alarms_of(usage);
      EXPECT_EQ(alarms.count, 1U) << "seed " << seed << " after " << flat_s << " s";
      EXPECT_GE(alarms.first_s, flat_s) << seed;
      in_time += static_cast<double>(usage.size()) / 10 - alarms.first_s >= 6 ? 1 : 0;
    }
    EXPECT_GE(in_time, kSeeds * 95 / 100) << "after " << flat_s << " s";
  }
}

// Who has gone up and down below is believed as soon as he is above that.
TEST(Alarms, OfARampAfterASawComeInTime) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Made made(seed);
    const double high = made.between(50, 62);
    const Usage saw = Made::teeth(30, high, made.between(2, 6), 60);
    const Usage usage = saw + made.ramp(20, 3.9);
    const Alarms alarms = made.alarms_of(usage);
    EXPECT_EQ(alarms.count, 1U) << seed;
    EXPECT_GE(static_cast<double>(usage.size()) / 10 - alarms.first_s, 5) << seed;
  }
}

TEST(Alarms, OfAPlateauEnd) {
  for (const double percent : {80.0, 85.0, 88.0}) {
    Made made(7);
    const Usage usage = made.ramp(20, 0.5);
    const auto begin = static_cast<size_t>((percent - 20) / 0.5 * 10);
    const Usage rise(usage.begin(), usage.begin() + static_cast<ptrdiff_t>(begin));
    const Alarms risen = made.alarms_of(rise);
    const Alarms alarms = made.alarms_of(rise + made.flat(percent, 600, 0.8));
    EXPECT_EQ(risen.count, 1U) << percent;
    EXPECT_EQ(alarms.count, 1U) << percent;
    EXPECT_LE(alarms.alarmed_s, risen.alarmed_s + kStillS + 40) << percent;
  }
}

// Half a point below it noise is enough.
TEST(Alarms, OfAPlateauJustBelowTheLevelStay) {
  Made made(7);
  const Usage rise = made.ramp(20, 0.5);
  const double risen_s = made.alarms_of(rise).alarmed_s;
  const Alarms alarms = made.alarms_of(rise + made.flat(89.5, 150, 0.4));
  EXPECT_EQ(alarms.count, 1U);
  EXPECT_NEAR(alarms.alarmed_s, risen_s + 150, 1);
}

// Usage that has passed the level and fades: the alarm is over soon after it is far below, whatever
// is remembered of the passing.
// Of many: where a chance lies on the edge, how a compiler rounds decides.
TEST(Alarms, OfABurstThatFadesEnd) {
  int unlike = 0;
  for (int seed = 0; seed < kSeeds; ++seed) {
    Made made(seed);
    Usage usage = made.flat(40, 60, 1) + made.ramp(40, 20) + made.flat(91, 2, 0.5);
    const auto passed_s = static_cast<double>(usage.size()) / 10;
    const double stay = made.between(0.995, 0.9975);
    double sunk_s = 0;
    for (double above = 50; above > 1; above *= stay) {
      usage.push_back(40 + above);
      if (40 + above > kLevelPercent - 10 * kSunkBands) sunk_s += 0.1;
    }
    const Alarms alarms = made.alarms_of(usage);
    const double last_s = alarms.first_s + alarms.alarmed_s;
    EXPECT_GE(alarms.count, 1U) << seed;
    const bool has_ended =
        alarms.count == 1 && last_s <= passed_s + sunk_s + kSunkS + kAlarmRestS + 4;
    if (!has_ended) ++unlike;
  }
  EXPECT_LE(unlike, kSeeds / 20);
}

// At rest just above a warning, after a rise that looked as if it would carry.
TEST(Alarms, OfWhoComesToRestEndSoon) {
  Made made(7);
  const Usage rise = made.ramp(20, 1.5);
  const auto begin = static_cast<ptrdiff_t>((88 - 20) / 1.5 * 10);
  const Usage risen(rise.begin(), rise.begin() + begin);
  const double before_s = made.alarms_of(risen).alarmed_s;
  const Alarms alarms = made.alarms_of(risen + made.flat(88, 100, 0.05));
  EXPECT_EQ(alarms.count, 1U);
  EXPECT_LE(alarms.alarmed_s, before_s + kRestS + kAlarmRestS + 5);
}

TEST(Alarms, BeginWithAGlanceAtTheSameLimit) {
  const auto forecaster = std::make_unique<Forecaster>();
  forecaster->configure(ForecastMethod::kMixed, kUsualLevelsPercent);
  PressureSample sample{0, 0, kLimit, 0, 0, 0};
  EXPECT_FALSE(forecaster->glance(sample)) << "before the first sample";
  for (uint64_t s = 1; s <= 10; ++s) {
    sample.now_ms = s * 1000;
    sample.used_bytes = kLimit / 100 * (20 + 3 * s);
    forecaster->observe(sample);
    ASSERT_FALSE(forecaster->outlook().alarm) << s;
  }
  sample.now_ms += 500;
  sample.used_bytes = kLimit / 100 * 80;
  PressureSample other = sample;
  other.limit_bytes = 2 * kLimit;
  EXPECT_FALSE(forecaster->glance(other));
  EXPECT_TRUE(forecaster->glance(sample));
  EXPECT_TRUE(forecaster->outlook().alarm);
  EXPECT_FALSE(forecaster->glance(sample)) << "it is on already";
  EXPECT_EQ(forecaster->outlook().alarms, 1U);
}

}  // namespace
}  // namespace elasticpool
