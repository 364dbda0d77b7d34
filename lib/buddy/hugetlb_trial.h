// Whether a frame should be tried from the kernel's hugetlb pool, from how the last tries ended.
//
// Pure:      no clock and no system call; a frame is the unit of time.
// Threads    the frame heap's lock guards it.
// Why        a try that is refused costs a system call. Where there is no pool, or none of it is
//            left, most frames should not pay for it; and a pool may be made or filled again while
//            the process runs.
// Pause      the kFirstPause frames after a refusal are not tried, and twice as many after each
//            further one, kLongestPause at most. One that is granted ends that, and one that goes
//            back to the pool.
#pragma once

#include <cstdint>

namespace elasticpool {

class HugetlbTrial {
 public:
  static constexpr uint32_t kFirstPause = 8;
  static constexpr uint32_t kLongestPause = 1024;  // 2 GiB

  // Of the frame that is mapped now.
  bool should_try() {
    if (pause_ == 0) return true;
    --pause_;
    return false;
  }

  void note_granted() { refusals_ = 0; }

  void note_returned() {
    pause_ = 0;
    refusals_ = 0;
  }

  void note_refused() {
    pause_ = kFirstPause << refusals_;
    if (pause_ < kLongestPause) ++refusals_;
  }

 private:
  // All zero at first: so are the heaps that hold it, which take no page before they are used.
  uint32_t pause_ = 0;
  uint32_t refusals_ = 0;  // in a row
};

}  // namespace elasticpool
