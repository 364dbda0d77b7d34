// The chance that usage passes a level within 120 s, and the alarm that follows it.
//
// Pure:      numbers in, numbers out; the caller says when a second is over.
// Chance     a logistic regression on four signs, fitted to what happened in the traces for tuning:
//            how far the peak of the forecasts lies from the level; how many experts see it passed;
//            how near usage came in the last minutes; how little is known yet.
// Peak       the highest of the forecasts is not the highest usage: by how much the true peak was
//            above, in scales, is learnt from the seconds that are over, mean and spread. So who
//            stays just below the level for minutes is no longer feared for.
// Alarm      on at once at the level, or where the rise carries (forecast_rise.h). Else while usage
//            moves, when the chance stays at kAlarmOn for some seconds or is kAlarmSure; but with
//            less than kTooYoungS of history no chance says much: then only within a band of the
//            level, and above where usage has turned.
//            Off when for more than kAlarmRestS the chance was below kAlarmOff (kAlarmOffBelow
//            where usage has turned higher up), or below kAlarmSure with usage still: an episode is
//            not cut into pieces, and who stays just below the level is no episode.
// Still      who moved by less than kStillShare of a band for kStillS, or rests: by less than
//            kRestShare for kRestS; and came no nearer to the level than by kStillBelowShare of
//            one. Who rests ends an alarm whatever the chance: what it learnt is of the rise.
// Sunk       who has turned (forecast_rise.h) and fallen to kSunkBands below the level, and whose
//            peak, by what is learnt of peaks, stays below it: that ends an alarm, too. Not where
//            the level was passed more than once of late, for such a one comes back; and where it
//            was passed once, only after kSunkS. An alarm that ended while usage sank begins again
//            by chance within a band of the level alone, until the chance was below kAlarmOff: what
//            fades goes on in bursts.
// Cost       tens of instructions.
#pragma once

#include <cstdint>

#include "pressure/forecast_mix.h"

namespace elasticpool {

inline constexpr float kAlarmOn = 0.44F;
inline constexpr float kAlarmSure = 0.70F;
inline constexpr float kAlarmOff = 0.20F;
inline constexpr float kAlarmOffBelow = 0.25F;
inline constexpr uint32_t kAlarmRestS = 5;
inline constexpr uint32_t kTooYoungS = kHorizonMaxS;
inline constexpr uint32_t kStillS = 60;
inline constexpr float kStillShare = 0.4F;
inline constexpr float kStillBelowShare = 0.1F;
inline constexpr uint32_t kRestS = 30;
inline constexpr float kRestShare = 0.1F;
inline constexpr float kSunkBands = 2.5F;
inline constexpr uint32_t kSunkS = 10;
// Passing the level is forgotten after that.
inline constexpr uint32_t kPassedS = kHistoryS;
// How far back the highest usage is looked for.
inline constexpr uint32_t kLookBackS = 300;

// Beside the forecasts.
struct CrossingSigns {
  float last;   // usage now
  float peak;   // the highest of that and of the headings
  float most;   // usage, within kLookBackS
  float level;  // 0: none
  float band;
  uint32_t known_s;  // of history
  bool moves;
  bool rests;
  bool carries;
  bool sinks;
  bool past_ceiling;
};

// All zero at first.
class Crossing {
 public:
  // Any number of times a second; time passes where `new_second` says so.
  void judge(const CrossingSigns& signs, const Mixed (&mixed)[kHorizons], bool new_second);
  // Between two of them.
  void judge_rise(bool carries);
  // The longest pledge has come due; `most` was used since it was made.
  void settle(const Pledge& pledge, float most);

  float chance() const { return chance_; }
  bool alarm() const { return alarm_; }
  uint32_t alarms() const { return alarms_; }

 private:
  float chance_of(const CrossingSigns& signs, const Mixed (&mixed)[kHorizons]) const;
  // The highest usage to be expected.
  float peak_of(const CrossingSigns& signs, const Mixed& longest) const;
  void note_passing(const CrossingSigns& signs, bool new_second);
  bool is_over(const CrossingSigns& signs, const Mixed& longest) const;
  bool is_due(const CrossingSigns& signs) const;
  bool holds(const CrossingSigns& signs) const;
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
  uint32_t passed_ = 0;  // how often the level was, with a fall between two times
  uint32_t since_passed_s_ = 0;
  uint32_t sunk_s_ = 0;
  bool is_above_ = false;  // or has not sunk since
  bool ended_sinking_ = false;
  bool alarm_ = false;
};

}  // namespace elasticpool
