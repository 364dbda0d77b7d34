// Large blocks: extents of whole granules, mapped where they lie, found again by address and size.
//
// What is freed stays mapped, its pages in place, as long as so much is wanted now and then
// (base/surplus_gauge.h); then its pages go back but not the mapping; the mapping goes where the
// system has no more to give.
//
//     live ── free ──► resident ── not wanted, release ──► clean ── out of memory ──► hole
//      ▲                   │                                 │                          │
//      └── warmest first ──┴─────────────────────────────────┴─────────── map ──────────┘
//
// Choice      the warmest state that can serve, and in it the fit policy's range. A resident range
//             saves page faults and adds nothing to the RSS; the price, addresses in smaller
//             pieces, is paid in what there is plenty of. Where no resident range is long enough,
//             one of half the request or more is continued into the free addresses behind it and
//             the clean ones in front of it.
// Alignment   only what is asked for. (To frames, so that huge pages fit and mremap moves tables,
//             was a third more memory where extents come and go: what lies between two of them is
//             warm but fits nobody.) It costs addresses and 1/16384 of them in tables, so it has a
//             bound.
// Give back   the tail of the longest resident range first: most bytes for one system call. Cut at
//             frames, so that no huge page is torn.
// Growth      in place where the addresses behind are free, else mremap to a place with as many
//             addresses again behind it (the room: addresses, not memory), so that growing by small
//             steps moves O(log n) times. Bytes are copied only where the kernel will not move an
//             extent: it consists of several mappings.
// Threads     any. Locks: trim_lock, then lock, both of rank kLarge. trim_lock is held by whoever
//             takes pages back; lock is let go around system calls that may be long.
// Look-up     the extent map's cell of a live extent's first granule holds its record number; every
//             other cell is 0. Readers take no lock: a record is never unmapped, and its contents
//             are published by the store of its number (order[extent]).
// Invariant   every claimed granule is in exactly one of: a live extent, its room, the index, the
//             hands of one thread, or given up because a stranger has mapped it. (In the child of a
//             fork what was in the hands of another thread is lost, as all that it held.)
// Nodes       a new extent lies where it is touched first. One whose pages lie on another node than
//             who asks runs on is emptied before it is handed out again: see MEMPOOL_NUMA.
// Cost        reuse: some hundred instructions, no system call (one on a host of several nodes).
//             See extent_index.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "large/extent_index.h"

namespace elasticpool {

// After plan_zones(); again whenever the settings change. `retain_bytes` of free memory keep their
// pages in any case.
void large_boot(FitPolicy fit, size_t retain_bytes);
// The same from now on; nothing goes back before the next free. Takes no lock: the child of a fork
// calls it, and a fork may come from a signal handler whose thread holds one.
void large_set_retain(size_t retain_bytes);

// False: no zone has room for it, or it is aligned to more than 256 GiB. However much is given back
// elsewhere, large_allocate() will refuse it. No lock, no system call.
bool large_can_ever_hold(size_t bytes, size_t align_bytes);

// nullptr: the system refuses, or it can never be held. *zeroed: every byte is known to be zero.
// align_bytes: a power of two.
void* large_allocate(size_t bytes, size_t align_bytes, bool* zeroed);

// What may be written at p: the request in whole pages. 0 where no live extent starts.
size_t large_usable_bytes(const void* p);

// False: no live extent starts at p.
bool large_free(void* p);

// The block with its contents, grown or shrunk, perhaps elsewhere. nullptr: refused (or no live
// extent starts at p), p is as it was.
void* large_reallocate(void* p, size_t bytes);

// Takes the pages of free ranges back until at most keep_bytes have theirs; how many bytes went.
size_t large_release(size_t keep_bytes);

// Free and resident: the least since the last call.
size_t large_least_free_bytes();

// Unmaps all that is free, so that another tier finds addresses under RLIMIT_AS.
void large_unmap_free();

// For base/reclaimer.h: another tier grows, and free pages here go back for it, but for what
// extents that come and go are busy with (base/surplus_gauge.h).
size_t large_reclaim(size_t wanted_bytes);

// Every claimed address is in one of them: live extents in whole granules and their rooms, free
// resident, free clean, hole, lost (or in the hands of a thread at this instant):
//     mapped_bytes = live granules + free_resident_bytes + free_clean_bytes
//     claimed      = mapped_bytes + rooms + hole_bytes + lost_bytes
struct LargeStats {
  uint64_t live_extents;
  uint64_t live_bytes;  // in whole pages, as large_usable_bytes() says
  uint64_t peak_live_bytes;
  uint64_t free_resident_bytes;  // at most: a page that was never touched counts too
  uint64_t free_clean_bytes;     // mapped, their pages have gone back: address space, no memory
  uint64_t hole_bytes;           // free addresses, nothing mapped: they cost their tables alone
  uint64_t mapped_bytes;         // live and free, in whole granules
  // Addresses given up for good: somebody else had mapped something there, or in the stride that
  // was passed over behind it. Not looked at again, even if that one goes.
  uint64_t lost_bytes;
  uint64_t requests;  // served
  uint64_t frees;
  uint64_t reused;           // requests served from mapped free ranges
  uint64_t remaps;           // growths by mremap, in place or not
  uint64_t copies;           // growths that had to copy
  uint64_t returned_bytes;   // pages that went back to the system, as free_resident_bytes counts
  uint64_t regretted_bytes;  // of those, taken again
};
LargeStats large_stats();

// For fork: both locks.
void large_lock_for_fork();
void large_unlock_after_fork(bool in_child);

}  // namespace elasticpool
