// Giving back what a member held that died, was hung or left.
//
// Who may call   any live member, for any other: there is no daemon.
// Threads        any number at once, for the same member too: each step changes a word from what
//                the fallen one left in it, and nothing else. A sweep that dies is begun again.
// Fenced, alive  a process that was stopped may still read what it was delivered and write what it
//                had reserved. So of a member whose process lives only the messages go to others at
//                once; its blocks and references go when it is gone or closes the handle.
// Order          the message that it was publishing is finished; what it was taking out of the ring
//                goes back; its messages are returned; its blocks are freed; hints are restored;
//                the place is free last.
// Cost           a look at every block word: 50 ms a GiB in blocks of 4 KiB, 650 ms in blocks of
//                64 bytes. Who leaves in order and knows that no block is its own is spared that.
#pragma once

#include "ring/member.h"
#include "ring/pool.h"

namespace elasticpool {

class Reclaimer;

inline constexpr uint64_t kWatchIntervalNs = 100'000'000;

inline bool is_watch_due(const Region& region, uint64_t now_ns) {
  // What another process wrote may lie in the future: then too.
  return now_ns - region.header().watched_at_ns.load_relaxed() >= kWatchIntervalNs;
}

// Fences who died or whose lease is over and sweeps them; how many were found.
unsigned watch_region(Member& me, Pool& pool, uint64_t now_ns);

// What a handle that leaves may still have, apart from what lies in its pool's cache.
enum class Leftovers {
  kNone,  // it gave back every message, reference and reservation
  kSome
};
// Frees the place of `me`: closing a handle. Works for a fenced one, too: that is swept whole,
// since others may have kept blocks for it meanwhile. With a reclaimer the last handle that leaves
// takes everything out that was passed; others leave that, which is the work of a whole ring.
void leave_region(Member& me, Pool& pool, Leftovers leftovers, Reclaimer* reclaimer = nullptr);

// Finishes the publication that a slot's claimant left; false: there is nothing to finish.
bool help_publish(Member& me, uint64_t sequence, uint64_t slot_word);

// Head and tail from the slots themselves, where hints cannot be right.
void restore_ring_hints(Region& region);
uint64_t reference_sequence(const Region& region);

}  // namespace elasticpool
