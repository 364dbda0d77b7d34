// How much of a tier's free memory went unused for so long that it may go back.
//
// Pure:      numbers in, numbers out. Its time is what the tier was given back, in bytes: so a
//            process without a thread of ours gives back as well, at its own frees.
// Threads    the tier's lock guards it.
// Low water  the least that was free while a window of freed bytes passed: nobody wanted it for so
//            long. (After the low-water mark by which tcmalloc shrinks its caches.) A program that
//            swings uses all it has now and then: nothing goes. One that is past its peak frees
//            without taking, and all but the last window of that goes.
// Turnover   what was taken during the window out of memory that the tier had already, at most what
//            is in use. A program that only frees has none. One that takes what it frees has much:
//            what is free and lies wrongly for every request is low water for it, too, and would
//            come and go.
// Window     the largest of a share of what is in use, a kLeastShare of `retain_bytes`, and the
//            turnover; slid in kSteps steps.
// Rest       `retain_bytes`, the turnover and the regret stay in any case. So after a burst at most
//            1 + 1 / kWindowShare times what is in use stays, and `retain_bytes`; three times while
//            all of it comes and goes.
// Regret     bytes that went back and were taken again: so much more should have stayed. What goes
//            back later weighs against it: a kForgetShare of that is forgotten. A program that
//            swings takes it again, and that is regret anew; one that is over its peak does not.
//            Who has regretted as much as his peak keeps all, until somebody asks for it (reset()).
// Trade      a tier that grows takes what is free in others (base/reclaimer.h), but not from one
//            that is busy: while others grew by kTradeWindowBytes it took so much itself, and that
//            stays. (Two tiers that come and go took each other's pages all the time.)
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/bits.h"
#include "base/units.h"

namespace elasticpool {

struct SurplusConstants {
  static constexpr unsigned kSteps = 4;
  static constexpr uint64_t kLeastShare = 4;
  static constexpr uint64_t kForgetShare = 4;
  static constexpr uint64_t kTradeWindowBytes = 8 * kMiB;
};

// The share is a divisor: a window is at least 1 / kWindowShare of what is in use. All zero at
// first: many of them take no page.
template <uint64_t kWindowShare>
class SurplusGauge : public SurplusConstants {
 public:
  // So much was taken of what the tier had already, with its pages or without.
  void note_taken(uint64_t bytes) {
    taken_bytes_[0] += bytes;
    taken_lately_bytes_ += bytes;
  }

  // Of what was taken so much had gone back before. `peak_bytes`: what was in use at most; no
  // regret is larger, or it would take as long to be forgotten.
  void note_regret(uint64_t again_bytes, uint64_t peak_bytes) {
    regret_bytes_ = std::min(regret_bytes_ + again_bytes, peak_bytes);
  }

  // After `freed_bytes` were added to what is free: how much of it may go now. Above 0 at most once
  // a step.
  uint64_t note_freed(uint64_t freed_bytes, uint64_t free_bytes, uint64_t live_bytes,
                      uint64_t retain_bytes) {
    // What is free only grows here: just before is when least was since the last time.
    least_bytes_[0] = std::min(least_bytes_[0], saturating_subtract(free_bytes, freed_bytes));
    passed_bytes_ += freed_bytes;
    const uint64_t window_bytes = std::max(
        {live_bytes / kWindowShare, retain_bytes / kLeastShare, turnover_bytes(live_bytes)});
    const uint64_t step_bytes = window_bytes / kSteps + 1;
    if (passed_bytes_ < step_bytes) return 0;
    begin_steps(step_bytes, free_bytes);
    const uint64_t rest_bytes = retain_bytes + turnover_bytes(live_bytes) + regret_bytes_;
    const uint64_t going_bytes =
        saturating_subtract(*std::min_element(least_bytes_, least_bytes_ + kSteps + 1), rest_bytes);
    for (uint64_t& level_bytes : least_bytes_) level_bytes -= going_bytes;
    return going_bytes;
  }

  // Of what might have gone so much stayed: it may go at the next step.
  void note_stayed(uint64_t bytes) {
    for (uint64_t& level_bytes : least_bytes_) level_bytes += bytes;
  }

  void note_returned(uint64_t returned_bytes) {
    regret_bytes_ = saturating_subtract(regret_bytes_, returned_bytes / kForgetShare);
  }

  // Another tier has taken `wanted_bytes` from the system: how much of what is free here may go.
  uint64_t note_wanted(uint64_t wanted_bytes, uint64_t free_bytes) {
    const uint64_t busy_bytes = std::max(taken_lately_bytes_, taken_before_bytes_);
    wanted_bytes_ += wanted_bytes;
    if (wanted_bytes_ >= kTradeWindowBytes) {
      // As long as several windows: it leaves only the present one behind.
      taken_before_bytes_ = wanted_bytes_ < 2 * kTradeWindowBytes ? taken_lately_bytes_ : 0;
      taken_lately_bytes_ = 0;
      wanted_bytes_ = 0;
    }
    return std::min(wanted_bytes, saturating_subtract(free_bytes, busy_bytes));
  }

  // Somebody has asked for all of it: nothing is expected to come again.
  void reset() { *this = {}; }

 private:
  uint64_t turnover_bytes(uint64_t live_bytes) const {
    uint64_t taken_bytes = 0;
    for (const uint64_t in_step_bytes : taken_bytes_) taken_bytes += in_step_bytes;
    return std::min(taken_bytes, live_bytes);
  }

  // One free may be longer than the window: then each step begins within it.
  void begin_steps(uint64_t step_bytes, uint64_t free_bytes) {
    passed_bytes_ = std::min(passed_bytes_, (kSteps + 1) * step_bytes);
    while (passed_bytes_ >= step_bytes) {
      passed_bytes_ -= step_bytes;
      for (unsigned i = kSteps; i > 0; --i) {
        least_bytes_[i] = least_bytes_[i - 1];
        taken_bytes_[i] = taken_bytes_[i - 1];
      }
      least_bytes_[0] = saturating_subtract(free_bytes, passed_bytes_);
      taken_bytes_[0] = 0;
    }
  }

  uint64_t passed_bytes_ = 0;  // since the present step began
  uint64_t regret_bytes_ = 0;
  // In the present step, and in those before it.
  uint64_t least_bytes_[kSteps + 1] = {};
  uint64_t taken_bytes_[kSteps + 1] = {};
  // In the present window of trade, and in the one before.
  uint64_t wanted_bytes_ = 0;
  uint64_t taken_lately_bytes_ = 0;
  uint64_t taken_before_bytes_ = 0;
};

}  // namespace elasticpool
