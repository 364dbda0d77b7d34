// Whether huge pages pay on this host, from what first touches have cost so far.
//
// Pure:      numbers in, numbers out; the caller brings the clock.
// Threads    the frame heap's lock guards it.
// Why        one fault for 2 MiB in place of 512 is three to four times cheaper where the kernel has
//            a huge page at hand. Where it has to make one first, or a hypervisor takes free ones
//            away and has to bring them back, it was seen to cost seven times as much. Only the
//            clock tells.
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

  // Whether the frame that is mapped now should be a huge page.
  bool should_try() {
    if (pause_ == 0) return true;
    --pause_;
    return false;
  }

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
      next_pause_ = kFirstPause;
      return;
    }
    pause_ = next_pause_;
    next_pause_ = next_pause_ < kLongestPause / 4 ? next_pause_ * 4 : kLongestPause;
  }

  bool knows_small() const { return small_ns_ != 0; }

 private:
  uint64_t small_ns_ = 0;
  uint32_t pause_ = 0;
  uint32_t next_pause_ = kFirstPause;
};

}  // namespace elasticpool
