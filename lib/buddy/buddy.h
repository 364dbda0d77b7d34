// Huge-page frames, cut into blocks of 64 KiB granules by the buddy system.
//
// What it is   one frame heap for each NUMA node and zone. It serves slabs (1 to 8 granules, or
//              four in one: slab/quarters.h) and blocks of 32 KiB to 1 MiB. A request takes as many
//              granules as it needs at a place aligned to the next power of two; the tail stays
//              free for others.
// Choice       the fullest frame that fits, in it the lowest place in the smallest free block: so
//              frames empty out and go back to the system whole.
// Threads      any.
// Lock         one a frame heap, rank kBuddy; growth of the zone (kZone) is called under it.
// Invariants   free + used granules = 32 x mapped frames; what is not dirty reads as zero.
// Giving back  free dirty granules stay resident as long as they are wanted now and then
//              (base/surplus_gauge.h); of the others the emptiest frames go: whole ones are
//              unmapped, of others the pages of free granules. A new frame of one zone is traded
//              for free memory elsewhere (base/reclaimer.h): a program that swings keeps its pages,
//              and one that grows does not pay for what it no longer uses.
// Hugetlb      a frame from the kernel's pool goes back whole or not at all: what is free in one
//              that is used is not among what may go. One of a 1 GiB page goes with all of that
//              page, and with buddy_release() only.
// Cost         bit arithmetic on one frame; a system call when a frame comes or goes. In a large
//              heap that may use huge pages the first touch of a new frame is made and timed here.
// Errors       nullptr when the system refuses; nothing else changes then.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/list.h"
#include "base/lock.h"
#include "base/units.h"
#include "buddy/frame_bits.h"
#include "buddy/frame_pages.h"
#include "pagemap/zone.h"

namespace elasticpool {

// Lies at the start of the frame's side record in the zone.
struct Frame {
  Link<Frame> link;
  FrameBits free = 0;
  FrameBits dirty = 0;     // may hold something else than zero
  FrameBits returned = 0;  // pages went back, and were not taken again yet
  NodeId node{};
  bool mapped = false;
  FramePages pages = FramePages::kDefault;
  // By granule: where its block starts, and there, how long it is.
  uint8_t first[kGranulesPerFrame] = {};
  uint8_t count[kGranulesPerFrame] = {};
  // How many of its quarters are free, or that it is not cut: slab/quarters.h.
  std::atomic<uint8_t> free_quarters[kGranulesPerFrame] = {};
};
inline constexpr size_t kFrameRecordBytes = 128;
static_assert(sizeof(Frame) <= kFrameRecordBytes);

struct BuddyStats {
  uint64_t frames = 0;               // mapped now
  uint64_t huge_frames = 0;          // of those, asked to be huge pages
  uint64_t hugetlb_frames = 0;       // of those, on pages of the hugetlb pool
  uint64_t used_granules = 0;        // slabs and blocks
  uint64_t free_dirty_granules = 0;  // free, may be resident
  // Given back to the system so far. At most: a page that was never touched counts too.
  uint64_t returned_bytes = 0;
  uint64_t regretted_bytes = 0;  // of those, taken again
  // Blocks that malloc handed out, not slabs.
  uint64_t live_blocks = 0;
  uint64_t live_bytes = 0;
  uint64_t requests = 0;
};

// Free memory that each frame heap keeps resident in any case.
void buddy_set_retain(size_t retain_bytes);
// Whether a dense heap may ask for huge pages under MEMPOOL_THP=auto; at first it may.
void buddy_allow_huge(bool allowed);
// Bytes that went back so far because nobody wanted them for a while.
uint64_t buddy_surplus_bytes();
// For base/reclaimer.h: free memory of the zone goes back, but for a small rest and for what the
// zone itself is busy with (base/surplus_gauge.h).
size_t buddy_reclaim_tiny(size_t wanted_bytes);
size_t buddy_reclaim_small(size_t wanted_bytes);
size_t buddy_reclaim_medium(size_t wanted_bytes);

// `granules` (1..32) in a row, aligned to the next power of two of their number. *zeroed: every
// byte is known to be zero.
void* buddy_allocate(Zone& zone, NodeId node, size_t granules, bool* zeroed);
// The start of such a run.
void buddy_free(Zone& zone, void* run);

// The same for a block of malloc in the medium zone, counted as such. bytes <= kBuddyBytesMax.
// align_bytes: a power of two, at most 1 MiB.
void* buddy_allocate_block(NodeId node, size_t bytes, size_t align_bytes, bool* zeroed);
void buddy_free_block(void* block);
// Bytes of the run that starts at `run`.
size_t buddy_run_bytes(const Zone& zone, const void* run);
// The node on whose books it is.
NodeId buddy_run_node(const Zone& zone, const void* run);
// Shrinks, or grows where the granules behind are free; false: it stays as it was.
bool buddy_resize_block(void* block, size_t bytes);

// The start of the run that holds p; p lies in a mapped frame of the zone.
void* buddy_run_start(const Zone& zone, const void* p);

// Sends pages of a run that is taken back, those of free blocks of a slab or of a free quarter;
// false: as Vm::decommit.
bool buddy_return_pages(const Zone& zone, uintptr_t from, size_t bytes);

// Returns free memory of all frame heaps to the system until at most keep_bytes of each stay
// resident, but for what hugetlb pages hold that are used; the bytes returned, at most (see
// returned_bytes).
size_t buddy_release(size_t keep_bytes);

// The same for one zone, and for all its nodes together.
size_t buddy_release_zone(ZoneKind kind, size_t keep_bytes);
// What could go now; and the least that could since the last call of it (each node by itself, so
// perhaps less than the least of the sum).
size_t buddy_free_bytes(ZoneKind kind);
size_t buddy_least_free_bytes(ZoneKind kind);

BuddyStats buddy_stats(ZoneKind kind);
// The same of all zones for one node (node modulo kNodesMax).
BuddyStats buddy_node_stats(NodeId node);

void buddy_lock_for_fork();
void buddy_unlock_after_fork(bool in_child);

}  // namespace elasticpool
