// A place in the registry for one who only looks after the region for a moment.
//
// Threads  any.
// Cost     a place taken and given back: some 20 us.
// Errors   BUSY: there is no place, and nothing was done.
#pragma once

#include "ring/sweep.h"

namespace elasticpool {

template <typename Work>
ep_ring_error with_place(Region& region, Work work) {
  Member member;
  const ep_ring_error error = join(region, kConsumersMax, kMembersMax, MemberName{}, &member);
  if (error != EP_RING_OK) return error;
  Pool pool(region, member.tag, kNobody, 0);
  const ep_ring_error result = work(member, pool);
  leave_region(member, pool, Leftovers::kNone);
  return result;
}

// Fences and sweeps who died or whose lease is over; how many were found.
inline unsigned watch_now(Region& region) {
  unsigned found = 0;
  with_place(region, [&found](Member& member, Pool& pool) {
    found = watch_region(member, pool, ring_now_ns());
    return EP_RING_OK;
  });
  return found;
}

}  // namespace elasticpool
