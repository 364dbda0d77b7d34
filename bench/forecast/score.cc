// Each trace is judged alone (Judge), and its figures are added to the set's.
#include "score.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

using elasticpool::Forecast;
using elasticpool::kHorizons;
using elasticpool::kHorizonsS;
using elasticpool::Outlook;

namespace {

constexpr double kBand = 0.10;
constexpr double kLine = 0.90;
constexpr double kHistoryS = 30;
constexpr double kAheadS = 120;
constexpr double kAlarmStillS = 10;
constexpr size_t kForecastsMin = 10;
constexpr size_t kClasses = 10;

struct Class {
  double stated = 0;
  double right = 0;
  double weight = 0;
};

struct Mean {
  double sum = 0;
  double weight = 0;

  void add(double value) {
    sum += value;
    weight += 1;
  }
  double value() const { return weight > 0 ? sum / weight : std::nan(""); }
};

struct Sums {
  Mean within[kHorizons];
  Mean covered[kHorizons];
  std::array<Class, kClasses> classes[kHorizons];
  std::vector<double> leads_s;
  Mean safe;
  Mean calm;
  Mean step_us;
};

struct Episode {
  size_t begin;
  size_t end;  // the last sample under alarm
};

class Judge {
 public:
  Judge(const Trace& trace, const Replay& replay) : trace_(trace), outlooks_(replay.outlooks) {
    while (first_ < trace.size() && trace.time_s[first_] < trace.time_s[0] + kHistoryS) ++first_;
  }

  void forecasts(uint32_t horizon, Sums* sums) const;
  void alarms(Sums* sums, Score* score) const;

 private:
  double end_s() const { return trace_.time_s.back(); }
  // The sample that holds at that time.
  size_t sample_at(double time_s) const {
    const auto after = std::upper_bound(trace_.time_s.begin(), trace_.time_s.end(), time_s);
    return static_cast<size_t>(after - trace_.time_s.begin()) - 1;
  }
  double most(size_t begin, double until_s) const {
    double most = 0;
    for (size_t i = begin; i < trace_.size() && trace_.time_s[i] <= until_s; ++i) {
      most = std::max(most, trace_.share(i));
    }
    return most;
  }
  std::vector<size_t> crossings() const;
  std::vector<Episode> episodes() const;

  const Trace& trace_;
  const std::vector<Outlook>& outlooks_;
  size_t first_ = 0;
};

void Judge::forecasts(uint32_t horizon, Sums* sums) const {
  Mean within;
  Mean covered;
  std::vector<std::pair<double, bool>> stated;
  for (size_t i = first_; i < trace_.size(); ++i) {
    const double target_s = trace_.time_s[i] + kHorizonsS[horizon];
    if (target_s > end_s()) break;
    const Forecast& forecast = outlooks_[i].forecasts[horizon];
    const size_t target = sample_at(target_s);
    const auto truth = static_cast<double>(trace_.used_bytes[target]);
    const double off = std::abs(static_cast<double>(forecast.used_bytes) - truth);
    const bool right = off <= kBand * static_cast<double>(trace_.limit_bytes[target]);
    within.add(right ? 1 : 0);
    const bool inside = static_cast<double>(forecast.low_bytes) <= truth &&
                        truth <= static_cast<double>(forecast.high_bytes);
    covered.add(inside ? 1 : 0);
    stated.emplace_back(forecast.confidence, right);
  }
  if (stated.size() < kForecastsMin) return;
  sums->within[horizon].add(within.value());
  sums->covered[horizon].add(covered.value());
  const double weight = 1 / static_cast<double>(stated.size());
  for (const auto& [confidence, right] : stated) {
    const auto place = static_cast<size_t>(std::clamp(confidence * kClasses, 0.0, kClasses - 1.0));
    Class& c = sums->classes[horizon][place];
    c.stated += weight * confidence;
    c.right += right ? weight : 0;
    c.weight += weight;
  }
}

std::vector<size_t> Judge::crossings() const {
  std::vector<size_t> found;
  double above_s = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < trace_.size(); ++i) {
    if (trace_.share(i) < kLine) continue;
    if (i >= first_ && trace_.time_s[i] - above_s > kHistoryS) found.push_back(i);
    above_s = trace_.time_s[i];
  }
  return found;
}

std::vector<Episode> Judge::episodes() const {
  std::vector<Episode> all;
  for (size_t i = 0; i < trace_.size(); ++i) {
    if (!outlooks_[i].alarm) continue;
    if (i == 0 || !outlooks_[i - 1].alarm) all.push_back({i, i});
    all.back().end = i;
  }
  return all;
}

void Judge::alarms(Sums* sums, Score* score) const {
  const std::vector<Episode> all = episodes();
  for (const size_t crossing : crossings()) {
    ++score->crossings;
    const Episode* of = nullptr;
    const double crossed_s = trace_.time_s[crossing];
    for (const Episode& e : all) {
      if (e.begin < crossing && trace_.time_s[e.end] >= crossed_s - kAlarmStillS) of = &e;
    }
    if (of == nullptr) {
      ++score->missed;
    } else {
      sums->leads_s.push_back(std::min(crossed_s - trace_.time_s[of->begin], kAheadS));
    }
  }
  for (const Episode& e : all) {
    if (e.end < first_ || trace_.share(e.begin) >= kLine) continue;
    ++score->episodes;
    if (most(e.begin, trace_.time_s[e.end] + kAheadS) < kLine - kBand) ++score->harmful;
  }
  for (size_t i = first_; i < trace_.size() && trace_.time_s[i] + kAheadS <= end_s(); ++i) {
    const double peak = most(i, trace_.time_s[i] + kAheadS);
    const double alarmed = outlooks_[i].alarm ? 1 : 0;
    if (peak < kLine) sums->safe.add(alarmed);
    if (peak < kLine - kBand) sums->calm.add(alarmed);
  }
}

}  // namespace

Score score(const std::vector<Trace>& traces, const std::vector<Replay>& replays,
            const std::vector<bool>& chosen) {
  Score result{};
  Sums sums;
  for (size_t i = 0; i < traces.size(); ++i) {
    if (!chosen[i]) continue;
    const Judge judge(traces[i], replays[i]);
    for (uint32_t h = 0; h < kHorizons; ++h) judge.forecasts(h, &sums);
    judge.alarms(&sums, &result);
    sums.step_us.add(replays[i].step_us);
  }
  for (uint32_t h = 0; h < kHorizons; ++h) {
    result.within[h] = sums.within[h].value();
    result.covered[h] = sums.covered[h].value();
    double off = 0;
    double weight = 0;
    for (const Class& c : sums.classes[h]) {
      off += std::abs(c.stated - c.right);
      weight += c.weight;
    }
    result.calibration[h] = off / weight;
  }
  std::sort(sums.leads_s.begin(), sums.leads_s.end());
  const size_t leads = sums.leads_s.size();
  const auto early = std::lower_bound(sums.leads_s.begin(), sums.leads_s.end(), kHistoryS);
  result.lead_median_s =
      leads == 0 ? 0 : (sums.leads_s[(leads - 1) / 2] + sums.leads_s[leads / 2]) / 2;
  result.lead_early =
      leads == 0 ? 0 : static_cast<double>(sums.leads_s.end() - early) / static_cast<double>(leads);
  result.safe_alarmed = sums.safe.value();
  result.calm_alarmed = sums.calm.value();
  result.step_us = sums.step_us.value();
  return result;
}
