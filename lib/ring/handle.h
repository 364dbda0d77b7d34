// What producers and consumers have in common: a place, a pool, the work for all.
//
// Threads    one at a time.
// Attending  every call of a handle comes through attend(): it renews the lease and, ten times a
//            second over all processes of the region, looks for who died (sweep.h).
// Cost       attend() a coarse clock, some 5 ns.
#pragma once

#include "ring/groups.h"
#include "ring/reclaim.h"
#include "ring/sweep.h"

namespace elasticpool {

struct Handle {
  Handle(Region& region, const Member& joined, bool keeps_blocks, bool has_slabs,
         uint64_t private_bytes)
      : member(joined),
        pool(region, joined.tag, has_slabs ? joined.tag : kNobody, private_bytes),
        reclaimer(member, pool, keeps_blocks) {}

  // Its parts point to each other.
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  Region& region() const { return *member.region; }
  // FENCED: others took over; nothing may be done any more but closing.
  ep_ring_error attend() { return attend(ring_now_coarse_ns()); }
  ep_ring_error attend(uint64_t now) {
    if (EP_UNLIKELY(!member.is_live())) return EP_RING_FENCED;
    member.renew(now);
    if (EP_UNLIKELY(is_watch_due(*member.region, now))) watch_region(member, pool, now);
    return EP_RING_OK;
  }
  // Gives everything back and frees the place. The handle is not used any more.
  void leave(Leftovers leftovers) {
    if (member.is_live()) reclaimer.pass(region().geometry().slots, false);
    leave_region(member, pool, leftovers);
  }

  Member member;
  Pool pool;
  Reclaimer reclaimer;
};

}  // namespace elasticpool
