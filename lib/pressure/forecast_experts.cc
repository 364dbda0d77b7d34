// One function a family of methods; each fills its columns for all horizons.
#include "pressure/forecast_experts.h"

#include <algorithm>

#include "pressure/forecast_analogs.h"

namespace elasticpool {
namespace {

constexpr float kHorizonS[kHorizons] = {30, 60, 120};

// How many whole seconds of trend are left of `ahead_s`.
constexpr float faded(float ahead_s, float tau_s) { return tau_s * ahead_s / (tau_s + ahead_s); }

void say(Opinions* opinions, Expert expert, Line line) {
  for (uint32_t h = 0; h < kHorizons; ++h) opinions->says[h][expert] = line.at(kHorizonS[h]);
}

void say_faded(Opinions* opinions, Expert expert, Line line, float tau_s) {
  for (uint32_t h = 0; h < kHorizons; ++h) {
    opinions->says[h][expert] = line.at(faded(kHorizonS[h], tau_s));
  }
}

Line holt(Series window) {
  constexpr float kLevelGain = 0.3F;
  constexpr float kTrendGain = 0.05F;
  Line line{window.oldest[0], 0};
  for (uint32_t i = 1; i < window.count; ++i) {
    const float level = line.at(1);
    const float miss = window.oldest[i] - level;
    line = {level + kLevelGain * miss, line.slope + kLevelGain * kTrendGain * miss};
  }
  return line;
}

// The last 60 s against those before: growth that slows down goes on slowing down by that ratio,
// growth that speeds up goes on speeding up, at most doubling.
void say_curve(Opinions* opinions, Series usage, float recent_slope) {
  const uint32_t before_s = std::min(usage.count, 120U) / 2;
  const Series before{usage.latest(2 * before_s).oldest, std::max(before_s, 1U)};
  const float old_slope = theil_sen(before).slope;
  const float span_s = static_cast<float>(std::max(before_s, 1U));
  // Ratio of the slopes a span apart.
  float ratio = 1;
  if (old_slope * recent_slope > 0) {
    ratio = std::clamp(recent_slope / old_slope, 0.2F, 2.0F);
  } else if (recent_slope == 0 || old_slope != 0) {
    ratio = 0.2F;
  }
  for (uint32_t h = 0; h < kHorizons; ++h) {
    // The trend, integrated in steps of half a span.
    float gone_s = 0;
    float carried_s = 0;
    float strength = 1;
    const float step_s = span_s / 2;
    while (gone_s < kHorizonS[h]) {
      const float now_s = std::min(step_s, kHorizonS[h] - gone_s);
      const float next = strength * (1 + ratio) / 2;
      carried_s += now_s * (strength + next) / 2;
      strength = next;
      gone_s += now_s;
    }
    opinions->says[h][kExpertCurve] = usage.last() + recent_slope * std::min(carried_s, 300.0F);
  }
}

void say_trends(Opinions* opinions, Series usage) {
  const Line by30 = theil_sen(usage.latest(30));
  const Line by60 = theil_sen(usage.latest(60));
  const Line by120 = theil_sen(usage.latest(120));
  say(opinions, kExpertLast, {usage.last(), 0});
  say(opinions, kExpertLinear, least_squares(usage.latest(60)));
  say(opinions, kExpertTheil30, by30);
  say(opinions, kExpertTheil60, by60);
  say(opinions, kExpertTheil120, by120);
  say(opinions, kExpertTheilAll, {usage.last(), theil_sen(usage).slope});
  say_faded(opinions, kExpertDamped30, {usage.last(), by30.slope}, 40);
  say_faded(opinions, kExpertDamped120, {usage.last(), by120.slope}, 120);
  say_faded(opinions, kExpertDamped15, {usage.last(), theil_sen(usage.latest(15)).slope}, 20);
  say_faded(opinions, kExpertDamped60, {usage.last(), by60.slope}, 60);
  say_faded(opinions, kExpertHolt, holt(usage.latest(120)), 120);
  say_curve(opinions, usage, by60.slope);
  float figures[60];
  const Series minute = usage.latest(60);
  std::copy(minute.oldest, minute.oldest + minute.count, figures);
  say(opinions, kExpertLevel, {median_of(figures, minute.count), 0});
}

// Who says what the past knows, else what a fading trend does.
void say_analog(Opinions* opinions, Series usage, Expert expert, const Analogs& analogs) {
  for (uint32_t h = 0; h < kHorizons; ++h) {
    float(&says)[kExperts] = opinions->says[h];
    says[expert] = analogs.forecast(usage, kHorizonsS[h], says[kExpertDamped30]);
  }
}

void say_analogs(Opinions* opinions, Series usage) {
  constexpr uint32_t kLongStrideS = 8;
  constexpr uint32_t kMiddleStrideS = 3;
  ShapeDistances distances;
  Analogs analogs;
  distances.compare(usage, kLongStrideS);
  const Season season = find_season(usage, distances);
  for (uint32_t h = 0; h < kHorizons; ++h) {
    float(&says)[kExperts] = opinions->says[h];
    says[kExpertSeason] = seasonal_forecast(usage, season, kHorizonsS[h], says[kExpertDamped30]);
  }
  analogs.find(distances, 0);
  say_analog(opinions, usage, kExpertAnalog, analogs);
  distances.compare(usage, kMiddleStrideS);
  analogs.find(distances, 0.3F);
  say_analog(opinions, usage, kExpertAnalogLevel, analogs);
  analogs.find(distances, 1);
  say_analog(opinions, usage, kExpertAnalogSame, analogs);
  distances.compare(usage, 1);
  analogs.find(distances, 0.3F);
  say_analog(opinions, usage, kExpertAnalogShort, analogs);
}

}  // namespace

void ask_experts(Series usage, float flow, Opinions* opinions) {
  say_trends(opinions, usage);
  say_faded(opinions, kExpertFlow, {usage.last(), flow}, 60);
  say_analogs(opinions, usage);
  for (auto& horizon : opinions->says) {
    for (float& figure : horizon) figure = std::max(figure, 0.0F);
  }
}

}  // namespace elasticpool
