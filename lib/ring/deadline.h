// How long a call may still wait.
//
// Threads  one object, one thread.
// Cost     reads the clock when asked, and never where the timeout is 0.
#pragma once

#include <cstdint>

#include "include/elasticpool/ring.h"
#include "ring/member.h"

namespace elasticpool {

class Deadline {
 public:
  explicit Deadline(int timeout_ms) : timeout_ms_(timeout_ms) {}
  // Nanoseconds left, at most `most`; 0: it is over.
  uint64_t left_ns(uint64_t most) {
    if (timeout_ms_ == 0) return 0;
    if (timeout_ms_ < 0) return most;
    const uint64_t now = ring_now_ns();
    if (end_ns_ == 0) end_ns_ = now + static_cast<uint64_t>(timeout_ms_) * 1'000'000;
    if (now >= end_ns_) return 0;
    return end_ns_ - now < most ? end_ns_ - now : most;
  }

 private:
  const int timeout_ms_;
  uint64_t end_ns_ = 0;
};

}  // namespace elasticpool
