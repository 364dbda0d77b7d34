// What memory use will be in 30, 60 and 120 seconds, how sure that is, and when levels are reached.
//
// Pure:      samples in, outlook out. No clock, lock, thread or allocation; all zero at first, so
//            that a static one costs no page until it is used.
// Samples    may come several times a second or minutes apart; inside there is one a second, the
//            last of each, held over gaps. Time that goes back counts as no time.
// Figures    everything is in shares of the limit at heart, but kept in MiB: a limit that changes
//            changes the levels and the band at once and no history. Without a limit (0 or
//            UINT64_MAX) shares are of the most that was in use within the history; no level is
//            ever reached then, and nothing alarms.
// Bounds     kMixed foresees no less than the least that was in use within the history, and no more
//            than half a band below the limit or what is in use now, unless the limit was passed
//            within the history: then it holds nobody. The chance of a crossing, the trend and the
//            seconds until a level is reached know no bounds.
// Flow       totals of what was allocated and released, or else live bytes: one more expert where
//            they are given, since usage may follow live bytes late.
// Methods    kLast says that all stays as it is, kLinear carries a least squares line over 60 s on,
//            kMixed asks the experts (forecast_experts.h) and weighs them (forecast_mix.h).
//            Interval, confidence and crossing (forecast_crossing.h) are made the same way for all.
// Threads    the caller's concern: one at a time, outlook() included.
// Errors     none: figures of any size and in any order give an outlook without NaN or overflow.
// Cost       22 KiB (a static_assert bounds it at 24). observe() 20 to 30 microseconds, of them 1
//            for what came true; on 7 KiB of stack. outlook() and glance() next to nothing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pressure/forecast_crossing.h"
#include "pressure/forecast_experts.h"
#include "pressure/forecast_mix.h"
#include "pressure/forecast_rise.h"

namespace elasticpool {

enum class ForecastMethod : uint8_t { kLast, kLinear, kMixed };
enum class PressureTrend : uint8_t { kDecreasing, kStable, kIncreasing, kCritical };

struct PressureSample {
  uint64_t now_ms;
  uint64_t used_bytes;
  uint64_t limit_bytes;
  uint64_t live_bytes;       // 0: unknown
  uint64_t allocated_bytes;  // totals so far
  uint64_t released_bytes;
};

struct Forecast {
  uint32_t horizon_s;
  float confidence;
  uint64_t used_bytes;
  uint64_t low_bytes;
  uint64_t high_bytes;
};

inline constexpr uint32_t kLevels = 4;
inline constexpr uint8_t kUsualLevelsPercent[kLevels] = {70, 80, 90, 95};
// Nothing is said of what may be reached later than that.
inline constexpr uint32_t kForeseenS = 600;

struct Outlook {
  Forecast forecasts[kHorizons];
  uint32_t seconds_to[kLevels];  // UINT32_MAX: not within kForeseenS
  float crossing;                // the chance that the third level is passed within 120 s
  PressureTrend trend;
  bool alarm;
  uint32_t alarms;  // how many began so far
};

class Forecaster {
 public:
  // At any time; what was learnt of the experts stays.
  void configure(ForecastMethod method, const uint8_t (&levels_percent)[kLevels]);
  // For measuring, until the next configure(): these experts alone, as bits.
  void ask_only(uint32_t experts) { asked_ = experts; }

  void observe(const PressureSample& sample);
  // Between samples, as often as one likes: only whether a rise carries over the third level is
  // judged. True: an alarm has begun.
  bool glance(const PressureSample& sample);
  Outlook outlook() const;
  // As if nothing had ever been seen; the configuration stays.
  void reset();

 private:
  static constexpr uint32_t kSlots = 30 + 60 + 120 + kHorizons;

  Series usage() const { return {usage_ + (kHistoryS - seconds_), seconds_}; }
  uint32_t asked() const {
    if (asked_ != 0) return asked_;
    return flow_known_ ? kAllExperts : kUsageExperts;
  }
  bool limited() const { return limit_ > 0; }
  // What shares are of: above 0.
  float whole() const;
  float level(uint32_t i) const;
  Pledge& slot(uint32_t horizon, uint64_t second);

  void note_flow(const PressureSample& sample, uint64_t seconds);
  void advance(uint64_t seconds);
  void settle_one(uint64_t ended_s);
  float most_of(uint32_t latest_s) const;
  Bounds bounds() const;
  bool rests(float band) const;
  bool moves(float band) const;
  void note_rise(const PressureSample& sample);
  void foresee(bool new_second);
  uint32_t seconds_to(float amount) const;
  PressureTrend trend() const;

  uint32_t asked_ = 0;  // 0: all
  uint8_t levels_percent_[kLevels] = {};
  float limit_ = 0;  // MiB; 0: none
  uint64_t now_s_ = 0;
  uint32_t seconds_ = 0;  // of history
  bool flow_known_ = false;
  float flow_ = 0;  // allocated less released, MiB a second, of late
  float net_ = 0;   // the same in total
  Crossing crossing_ = {};
  Rise rise_ = {};
  Mixed mixed_[kHorizons] = {};
  HorizonMix mixes_[kHorizons] = {};
  float usage_[kHistoryS] = {};  // MiB, the last at the end
  Pledge pledges_[kSlots] = {};
};

static_assert(sizeof(Forecaster) <= size_t{24} * 1024);

}  // namespace elasticpool
