// See settled.h.
#include "ring/settled.h"

#include <bit>

namespace elasticpool {

void Settled::advance(uint64_t scan, uint64_t skipped) {
  const uint64_t settled = mark_ < skipped ? mark_ : skipped;
  if (settled > record_.settled.load_relaxed()) record_.settled.store_release(settled);
  mark_ = scan;
  in_work_before_mark_ = in_work_;
}

uint64_t Settled::look_again_from(uint64_t from, uint64_t skipped, uint64_t members,
                                  uint32_t epoch) {
  const uint64_t returns = group_.returns.load_ordered();
  if (returns != returns_) {
    returns_ = returns;
    record_.settled.store_relaxed(0);
    record_.settled_at.store_release(returns);
  } else if (skipped > from) {
    from = skipped;
  }
  const uint64_t own = from;
  const uint64_t end = from + region_.geometry().slots;
  for (uint64_t left = members; left != 0; left &= left - 1) {
    const auto place = static_cast<uint32_t>(std::countr_zero(left));
    if (place >= kConsumersMax) break;
    const MemberRecord& other = region_.member(place);
    if (other.settled_at.load_acquire() != returns) continue;
    const uint64_t settled = other.settled.load_acquire();
    if (settled > from && settled <= end) from = settled;
  }
  // Who is no member any more may have said nothing of this group.
  acquire_fence();
  return group_.epoch.load_ordered() == epoch ? from : own;
}

}  // namespace elasticpool
