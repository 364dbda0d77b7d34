// The chance that usage passes a level within 120 s, and the alarm that follows it.
//
// Pure:      numbers in, numbers out; the caller says when a second is over.
// Chance     a logistic regression on four signs, fitted to what happened in the traces for tuning:
//            how far the peak of the forecasts lies from the level; how many experts see it passed;
//            how near usage came in the last minutes; how little is known yet.
// Peak       the highest of the forecasts is not the highest usage: by how much the true peak was
//            above, in scales, is learnt from the seconds that are over, mean and spread. So who
//            stays just below the level for minutes is no longer feared for.
// Alarm      on when the chance stays at kAlarmOn for some seconds, or at once when it is
//            kAlarmSure; off when it was below kAlarmOff for more than kAlarmRestS: an episode is
//            not cut into pieces.
// Cost       tens of instructions.
#pragma once

#include <cstdint>

#include "pressure/forecast_mix.h"

namespace elasticpool {

inline constexpr float kAlarmOn = 0.45F;
inline constexpr float kAlarmSure = 0.70F;
inline constexpr float kAlarmOff = 0.20F;
inline constexpr uint32_t kAlarmRestS = 5;
// How far back the highest usage is looked for.
inline constexpr uint32_t kLookBackS = 300;

// Beside the forecasts.
struct CrossingSigns {
  float last;   // usage now
  float peak;   // the highest of that and of the centres
  float most;   // usage, within kLookBackS
  float level;  // 0: none
  float band;
  uint32_t known_s;  // of history
};

// All zero at first.
class Crossing {
 public:
  // Any number of times a second; time passes where `new_second` says so.
  void judge(const CrossingSigns& signs, const Mixed (&mixed)[kHorizons], bool new_second);
  // The longest pledge has come due; `most` was used since it was made.
  void settle(const Pledge& pledge, float most);

  float chance() const { return chance_; }
  bool alarm() const { return alarm_; }
  uint32_t alarms() const { return alarms_; }

 private:
  float chance_of(const CrossingSigns& signs, const Mixed (&mixed)[kHorizons]) const;
  void raise_or_end(bool new_second);
  // Of the true peak above the forecasts', in scales.
  float excess_mean() const;
  float excess_spread() const;

  float excess_ = 0;  // sums that fade
  float deviation_ = 0;
  float seconds_ = 0;
  float chance_ = 0;
  float steady_ = 0;  // the chance, smoothed
  uint32_t rest_s_ = 0;
  uint32_t alarms_ = 0;
  bool alarm_ = false;
};

}  // namespace elasticpool
