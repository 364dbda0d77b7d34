// How often listeners are asked.
//
// Pure: numbers in, numbers out.
// Pace      kTellMs apart, so that a cache has time to do what it was asked for. Where more than a
//           share of the limit was grown meanwhile that would be too late: then kTellSoonMs apart.
//           Never closer: what a listener drops must not be dropped for nothing.
// Growth    from the least that was used since they were asked last: what has gone since may be
//           grown again.
// Cost      some comparisons.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/bits.h"
#include "base/units.h"

namespace elasticpool {

class TellPace {
 public:
  static constexpr uint64_t kTellMs = 100;
  static constexpr uint64_t kTellSoonMs = 10;
  static constexpr uint64_t kTellShare = 256;
  static constexpr uint64_t kLeastTellBytes = 1 * kMiB;

  // Whether they may be asked now; then they count as asked.
  constexpr bool take(uint64_t now_ms, uint64_t used_bytes, uint64_t limit_bytes) {
    const uint64_t grown_bytes = saturating_subtract(used_bytes, told_at_bytes_);
    told_at_bytes_ = std::min(told_at_bytes_, used_bytes);
    const uint64_t passed_ms = now_ms - told_ms_;
    const uint64_t soon_bytes = std::max(limit_bytes / kTellShare, kLeastTellBytes);
    if (passed_ms < kTellSoonMs || (passed_ms < kTellMs && grown_bytes < soon_bytes)) return false;
    told_ms_ = now_ms;
    told_at_bytes_ = used_bytes;
    return true;
  }

 private:
  uint64_t told_ms_ = 0;
  uint64_t told_at_bytes_ = 0;
};

}  // namespace elasticpool
