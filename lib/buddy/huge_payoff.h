// Whether huge pages pay on this host, from what first touches have cost so far.
//
// Pure:      numbers in, numbers out; the caller brings the clock.
// Threads    the frame heap's lock guards it.
// Why        one fault for 2 MiB in place of 512 is three to four times cheaper where the kernel
//            has a huge page at hand. Where it has to make one first, or a hypervisor takes free
//            ones away and has to bring them back, it was seen to cost seven times as much. Only
//            the clock tells.
// Doubt      after a huge page that cost more than the small ones of its frame would have, the next
//            kFirstPause frames are not tried, and four times as many after each further one. One
//            that paid ends the doubt.
#pragma once

#include <cstddef>
#include <cstdint>

namespace elasticpool {

class HugePayoff {
 public:
  static constexpr uint32_t kFirstPause = 64;
  static constexpr uint32_t kLongestPause = 4096;
  static constexpr uint32_t kMeasuredEach = 16;

  // Whether the frame that is mapped now should be a huge page.
  bool should_try() {
    if (pause_ == 0) return true;
    --pause_;
    return false;
  }

  // Whether this frame's first touch shall be timed: small ones always, of huge ones that pay each
  // kMeasuredEach-th, since a slow one holds others up.
  bool should_measure(bool is_huge) { return !is_huge || paid_++ % kMeasuredEach == 0; }

  // What the first touch of a small page took. A moving mean: one that was interrupted counts as
  // four times the mean at most.
  void note_small(uint64_t touch_ns) {
    if (small_ns_ == 0) {
      small_ns_ = touch_ns;
      return;
    }
    const uint64_t most_ns = 4 * small_ns_;
    small_ns_ = (7 * small_ns_ + (touch_ns < most_ns ? touch_ns : most_ns)) / 8;
  }

  // What the first touch of a huge page took that stands for so many small ones.
  void note_huge(uint64_t touch_ns, size_t small_pages) {
    if (touch_ns <= small_ns_ * small_pages) {
      longer_ = 0;
      return;
    }
    paid_ = 0;
    const uint32_t pause = kFirstPause << (2 * longer_);
    pause_ = pause < kLongestPause ? pause : kLongestPause;
    if (pause < kLongestPause) ++longer_;
  }

  bool knows_small() const { return small_ns_ != 0; }

 private:
  uint64_t small_ns_ = 0;
  uint32_t pause_ = 0;
  uint32_t longer_ = 0;  // how often a pause was followed by another
  uint32_t paid_ = 0;    // huge pages since the last pause
};

}  // namespace elasticpool
