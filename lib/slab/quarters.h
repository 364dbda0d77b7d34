// Granules of the tiny and of the small zone, cut into four: each quarter is a slab, or free.
//
// What it is   for each node and zone the free quarters of granules of which another one is used. A
//              quarter has the record of the slab that it may be (slab.h).
// Why          a class keeps the pages of its slabs while one block of each is out. What programs
//              free of one size they take of another, and slabs of 64 KiB came back too seldom.
// Choice       the last one that came back, as its pages are there and in the cache; then what was
//              never cut off the last granule; those whose pages went back, last.
// Who may call slab/ takes and puts; percpu/ sends pages back, as it does those of slabs; anybody
//              asks how many there are.
// Threads      any.
// Lock         one a pool, rank kQuarter; granules come and go, and pages go, outside of it.
// Limit        pages that come back are charged as a new granule's are (base/held_memory.h).
// Invariant    of a granule that is held, one to three quarters are free and listed, or none: one
//              with four goes back to its frame at once.
// Cost         take, put: a lock, two lines. Errors: nullptr when the system or the limit refuses.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/units.h"
#include "pagemap/zone.h"
#include "slab/slab.h"

namespace elasticpool {

// A quarter for a slab: its record, with start, node and link set, and pages that count as held.
Slab* quarter_take(Zone& zone, NodeId node);
// Nothing in it is used any more.
void quarter_put(Zone& zone, Slab* quarter);
// A granule of such a zone is to be one slab.
void quarters_leave_whole(const Zone& zone, const void* granule);

// The pages of free quarters go to the system, or of those that have been free since the last call;
// the bytes returned, at most: a page that was never touched counts too. A child of a fork that
// comes meanwhile has lost one.
size_t quarters_release();
size_t quarters_release_settled();

struct QuarterStats {
  uint64_t free_bytes = 0;      // of free quarters
  uint64_t resident_bytes = 0;  // of those, with their pages
  uint64_t returned_bytes = 0;  // so far
};
QuarterStats quarter_stats();
// Of one node (node modulo kNodesMax).
QuarterStats quarter_node_stats(NodeId node);

void quarters_lock_for_fork();
void quarters_unlock_after_fork(bool in_child);

}  // namespace elasticpool
