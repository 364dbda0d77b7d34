// How much of a tier's free memory went unused for so long that it may go back.
//
// Pure:      numbers in, numbers out. Its time is what the tier was given back, in bytes: so a
//            process without a thread of ours gives back as well, at its own frees.
// Threads    the tier's lock guards it.
// Low water  the least that was free while a window of freed bytes passed: nobody wanted it for so
//            long. (After the low-water mark by which tcmalloc shrinks its caches.) A program that
//            swings uses all it has now and then: nothing goes. One that is past its peak frees
//            without taking, and all but the last window of that goes.
// Window     a share of what is in use, at least a kLeastShare of `retain_bytes`; slid in kSteps
//            steps.
// Rest       `retain_bytes`, a share of what is in use, and the regret stay in any case: what is
//            free and lies wrongly for every request is low water too, and would come and go.
// Regret     bytes that went back and were taken again: so much more should have stayed. What goes
//            back later weighs against it: a kForgetShare of that is forgotten. A program that
//            swings takes it again, and that is regret anew; one that is over its peak does not.
//            Who has regretted as much as his peak keeps all, until somebody asks for it (reset()).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bits.h"

namespace elasticpool {

struct SurplusConstants {
  static constexpr unsigned kSteps = 4;
  static constexpr uint64_t kLeastShare = 4;
  static constexpr uint64_t kForgetShare = 4;
};

// Shares of what is in use, as divisors: a window is 1 / kWindowShare of it, and of the rest
// 1 / kRestShare of it (0: none). All zero at first: many of them take no page.
template <uint64_t kWindowShare, uint64_t kRestShare>
class SurplusGauge : public SurplusConstants {
 public:
  // Of what was taken so much had gone back before. `peak_bytes`: what was in use at most; no
  // regret is larger, or it would take as long to be forgotten.
  void note_regret(uint64_t again_bytes, uint64_t peak_bytes) {
    regret_bytes_ += again_bytes;
    if (regret_bytes_ > peak_bytes) regret_bytes_ = peak_bytes;
  }

  // After `freed_bytes` were added to what is free: how much of it may go now. Above 0 at most once
  // a step.
  uint64_t note_freed(uint64_t freed_bytes, uint64_t free_bytes, uint64_t live_bytes,
                      uint64_t retain_bytes) {
    // What is free only grows here: just before is when least was since the last time.
    const uint64_t before_bytes = saturating_subtract(free_bytes, freed_bytes);
    if (before_bytes < least_bytes_[0]) least_bytes_[0] = before_bytes;
    passed_bytes_ += freed_bytes;
    const uint64_t share_bytes = live_bytes / kWindowShare;
    const uint64_t least_bytes = retain_bytes / kLeastShare;
    const uint64_t window_bytes = share_bytes > least_bytes ? share_bytes : least_bytes;
    const uint64_t step_bytes = window_bytes / kSteps + 1;
    if (passed_bytes_ < step_bytes) return 0;
    begin_steps(step_bytes, free_bytes);
    const uint64_t going_bytes = saturating_subtract(least(), rest_bytes(live_bytes, retain_bytes));
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

  // Somebody has asked for all of it: nothing is expected to come again.
  void reset() { *this = {}; }

 private:
  uint64_t rest_bytes(uint64_t live_bytes, uint64_t retain_bytes) const {
    const uint64_t share_bytes =
        kRestShare == 0 ? 0 : live_bytes / (kRestShare + (kRestShare == 0));
    return retain_bytes + share_bytes + regret_bytes_;
  }

  // One free may be longer than the window: then each step begins within it.
  void begin_steps(uint64_t step_bytes, uint64_t free_bytes) {
    const uint64_t most_bytes = (kSteps + 1) * step_bytes;
    if (passed_bytes_ > most_bytes) passed_bytes_ = most_bytes;
    while (passed_bytes_ >= step_bytes) {
      passed_bytes_ -= step_bytes;
      for (unsigned i = kSteps; i > 0; --i) least_bytes_[i] = least_bytes_[i - 1];
      least_bytes_[0] = saturating_subtract(free_bytes, passed_bytes_);
    }
  }

  uint64_t least() const {
    uint64_t least_bytes = least_bytes_[0];
    for (const uint64_t level_bytes : least_bytes_) {
      if (level_bytes < least_bytes) least_bytes = level_bytes;
    }
    return least_bytes;
  }

  uint64_t passed_bytes_ = 0;  // since the present step began
  uint64_t regret_bytes_ = 0;
  // In the present step, and in those before it.
  uint64_t least_bytes_[kSteps + 1] = {};
};

}  // namespace elasticpool
