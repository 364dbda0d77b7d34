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
  // A buffer as it was filled when it was reserved: the block's own word says whether that still
  // holds, so nothing else has to be looked up.
  EP_ALWAYS_INLINE bool is_reserved(const ep_ring_buffer& buffer, BlockPlace* place) const {
    const bool is_run = (buffer.block & kRunBlock) != 0;
    const uint64_t granule = is_run ? buffer.block & ~kRunBlock : buffer.block / kLinesPerGranule;
    if (granule >= region().geometry().granules_max) return false;
    place->entry = is_run ? &region().granule(granule) : &region().block_entry(buffer.block);
    place->offset =
        static_cast<uint64_t>(static_cast<unsigned char*>(buffer.data) - region().payload(0));
    place->capacity_bytes = buffer.capacity;
    place->slab_generation = buffer.generation;
    return place->entry->word.load_relaxed() ==
               block_word(BlockState::kReserved, member.tag, buffer.generation) &&
           buffer.size <= buffer.capacity && buffer.capacity <= region().payload_bytes_max() &&
           place->offset <= region().payload_bytes_max() - buffer.capacity;
  }
  // What its program gets of a block that pool.reserve() found.
  ep_ring_buffer lend(uint64_t bytes, uint32_t block, const BlockPlace& place) {
    ++reserved;
    return {region().payload(place.offset), bytes, place.capacity_bytes, block,
            place.slab_generation};
  }
  ep_ring_error discard(const ep_ring_buffer& buffer) {
    const ep_ring_error error = attend();
    if (error != EP_RING_OK) return error;
    BlockPlace place;
    if (!is_reserved(buffer, &place) || !pool.find(buffer.block, &place)) return EP_RING_INVALID;
    pool.give_back(buffer.block, place, place.entry->word.load_relaxed(), true);
    --reserved;
    return EP_RING_OK;
  }
  // Gives everything back and frees the place. The handle is not used any more.
  void leave(Leftovers leftovers) { leave_region(member, pool, leftovers, &reclaimer); }

  Member member;
  Pool pool;
  Reclaimer reclaimer;
  uint64_t reserved = 0;  // blocks that its program has; more, where some were damaged meanwhile
};

}  // namespace elasticpool
