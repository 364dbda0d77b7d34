// The forecaster is the library's own; each trace begins with an empty one.
#include "replay.h"

#include <chrono>
#include <memory>

using elasticpool::Forecaster;
using elasticpool::ForecastMethod;

const std::vector<Method>& all_methods() {
  static const std::vector<Method> methods = {
      {"last", ForecastMethod::kLast, 0},
      {"linear", ForecastMethod::kLinear, 0},
      {"theil-sen", ForecastMethod::kMixed, 1U << elasticpool::kExpertTheil60},
      {"holt", ForecastMethod::kMixed, 1U << elasticpool::kExpertHolt},
      {"season", ForecastMethod::kMixed, 1U << elasticpool::kExpertSeason},
      {"analog", ForecastMethod::kMixed, 1U << elasticpool::kExpertAnalog},
      {"mixed", ForecastMethod::kMixed, 0},
  };
  return methods;
}

Replay replay(const Trace& trace, const Method& method) {
  const auto forecaster = std::make_unique<Forecaster>();
  forecaster->configure(method.method, elasticpool::kUsualLevelsPercent);
  if (method.experts != 0) forecaster->ask_only(method.experts);
  Replay result;
  result.outlooks.reserve(trace.size());
  const auto begin = std::chrono::steady_clock::now();
  for (size_t i = 0; i < trace.size(); ++i) {
    const auto now_ms = static_cast<uint64_t>(trace.time_s[i] * 1000);
    forecaster->observe({now_ms, trace.used_bytes[i], trace.limit_bytes[i], 0, 0, 0});
    result.outlooks.push_back(forecaster->outlook());
  }
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
  result.step_us = took.count() / static_cast<double>(trace.size());
  return result;
}
