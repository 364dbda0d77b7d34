// How much of a tier's free memory is not needed: what was free all the time for a while.
//
// Pure: numbers in, numbers out; the caller brings the clock.
//
// Low water  the least that was free since the window began: nobody wanted it for as long as the
//            window. It may go; the rest was in use meanwhile. (After the low-water mark by which
//            tcmalloc's garbage collector shrinks thread caches.)
// Patience   how long a window is. When memory that went back is taken again, the program swings
//            more slowly than we waited: the patience doubles. It halves after a long time without
//            such regret, so that a habit of the past does not hold memory for ever.
#pragma once

#include <cstddef>
#include <cstdint>

namespace elasticpool {

class LowWater {
 public:
  // The least that was free since the last call; what of it may go. Above 0 at most once a window.
  size_t observe(size_t least_free_bytes, uint64_t now_ms, uint64_t patience_ms) {
    if (least_free_bytes < least_bytes_) least_bytes_ = least_free_bytes;
    if (now_ms - begun_ms_ < patience_ms) return 0;
    const size_t idle_bytes = least_bytes_;
    least_bytes_ = SIZE_MAX;
    begun_ms_ = now_ms;
    return idle_bytes;
  }

 private:
  size_t least_bytes_ = 0;
  uint64_t begun_ms_ = 0;
};

class Patience {
 public:
  static constexpr uint64_t kLeastMs = 500;
  // A program that swings more slowly than this is not waited for.
  static constexpr uint64_t kMostMs = 8 * kLeastMs;
  // Less than this may be taken again by chance.
  static constexpr size_t kRegretBytes = size_t{1} << 20;
  static constexpr uint64_t kForgetWindows = 64;

  uint64_t ms() const { return ms_; }

  // `regretted_bytes`: given back and taken again, so far.
  void observe(uint64_t regretted_bytes, uint64_t now_ms) {
    if (changed_ms_ == kNever) {
      // What was regretted before is no concern of this watch.
      known_bytes_ = regretted_bytes;
      changed_ms_ = now_ms;
      return;
    }
    if (regretted_bytes - known_bytes_ >= kRegretBytes) {
      known_bytes_ = regretted_bytes;
      changed_ms_ = now_ms;
      if (ms_ < kMostMs) ms_ *= 2;
    } else if (now_ms - changed_ms_ >= kForgetWindows * ms_) {
      known_bytes_ = regretted_bytes;
      changed_ms_ = now_ms;
      if (ms_ > kLeastMs) ms_ /= 2;
    }
  }

 private:
  uint64_t ms_ = kLeastMs;
  static constexpr uint64_t kNever = UINT64_MAX;

  uint64_t changed_ms_ = kNever;
  uint64_t known_bytes_ = 0;
};

}  // namespace elasticpool
