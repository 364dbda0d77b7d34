// The frames of one node in one zone: which there are, and how they come and go. Private to buddy/.
//
// A frame is at any time in one of these places:
//
//     by_order   mapped, with free granules: by its largest free block and by how many are used
//     nowhere    mapped, all of it used
//     absent     unmapped: its memory went back, its addresses are still ours to map again
//     lost       unmapped, and somebody else has mapped something there
//
// Threads     any that holds `lock`, rank kBuddy; growth of the zone (kZone) is called under it.
// Invariants  a frame is taken out by remove() before its free granules change, and put back by
//             insert() after that.
//             releasable + held = free dirty granules: held are those in hugetlb pages that are in
//             use, which go back whole or not at all.
// Cost        a few words of bit arithmetic; add_frame() and release_until() make system calls. A
//             page of the hugetlb pool is cleared within add_frame(), under the lock: 2 MiB in some
//             0.1 ms, 1 GiB in some 0.1 s.
// Errors      nullptr and 0 when the system refuses; nothing else changes then.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/annotations.h"
#include "base/bits.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/surplus_gauge.h"
#include "base/units.h"
#include "buddy/buddy.h"
#include "buddy/frame_bits.h"
#include "buddy/frame_pages.h"
#include "buddy/huge_payoff.h"
#include "buddy/hugetlb_trial.h"
#include "pagemap/zone.h"

namespace elasticpool {

struct FrameHeap {
  using FrameList = List<Frame, &Frame::link>;
  static constexpr unsigned kUsedLevels = kGranulesPerFrame + 1;
  // See base/surplus_gauge.h.
  static constexpr uint64_t kWindowShare = 8;
  // From here on 1 GiB pages are asked for: a small heap would leave most of one unused.
  static constexpr uint64_t kGiganticGranules = 512 * kMiB / kGranuleBytes;
  // From here on a huge page that is not filled yet is a small part of the heap.
  static constexpr uint64_t kDenseGranules = 64 * kMiB / kGranuleBytes;

  Lock lock{LockRank::kBuddy};
  FrameList by_order[kOrders][kUsedLevels] EP_GUARDED_BY(lock);
  // Bit u: by_order[order][u] is not empty.
  uint64_t levels[kOrders] EP_GUARDED_BY(lock) = {};
  FrameList absent EP_GUARDED_BY(lock);
  BuddyStats stats EP_GUARDED_BY(lock);
  HugePayoff payoff EP_GUARDED_BY(lock);
  HugetlbTrial hugetlb EP_GUARDED_BY(lock);
  SurplusGauge<kWindowShare> surplus EP_GUARDED_BY(lock);
  size_t peak_used_granules EP_GUARDED_BY(lock) = 0;
  size_t held_granules EP_GUARDED_BY(lock) = 0;
  size_t least_releasable_granules EP_GUARDED_BY(lock) = 0;

  size_t releasable_granules() const EP_REQUIRES(lock) {
    return stats.free_dirty_granules - held_granules;
  }
  size_t releasable_bytes() const EP_REQUIRES(lock) {
    return releasable_granules() * kGranuleBytes;
  }

  static unsigned used_of(const Frame& frame) {
    return static_cast<unsigned>(kGranulesPerFrame) -
           static_cast<unsigned>(std::popcount(frame.free));
  }

  // Free dirty granules of a frame that stay though nobody uses them.
  static unsigned held_of(const Frame& frame) {
    if (!is_hugetlb(frame.pages)) return 0;
    if (frame.pages == FramePages::kHugetlb && frame.free == kAllFree) return 0;
    return static_cast<unsigned>(std::popcount(frame.free & frame.dirty));
  }

  void insert(Frame* frame) EP_REQUIRES(lock) {
    const int order = largest_free_order(frame->free);
    if (order == kNoOrder) return;
    held_granules += held_of(*frame);
    const unsigned used = used_of(*frame);
    by_order[order][used].push_front(frame);
    levels[order] |= uint64_t{1} << used;
  }

  void remove(Frame* frame) EP_REQUIRES(lock) {
    const int order = largest_free_order(frame->free);
    if (order == kNoOrder) return;
    held_granules -= held_of(*frame);
    const unsigned used = used_of(*frame);
    by_order[order][used].remove(frame);
    if (by_order[order][used].empty()) levels[order] &= ~(uint64_t{1} << used);
  }

  // The fullest frame with a free block of 2^order.
  Frame* fullest_with(unsigned order) EP_REQUIRES(lock) {
    Frame* best = nullptr;
    unsigned best_used = 0;
    for (unsigned o = order; o < kOrders; ++o) {
      if (levels[o] == 0) continue;
      const unsigned used = floor_log2(levels[o]);
      if (best == nullptr || used > best_used) {
        best = by_order[o][used].front();
        best_used = used;
      }
    }
    return best;
  }
};

inline Frame* frame_at(const Zone& zone, size_t frame) {
  return static_cast<Frame*>(zone.side_of(frame));
}

inline size_t frame_number(const Zone& zone, const Frame* frame) {
  return (address_of(frame) - zone.side) / zone.side_bytes_per_frame;
}

inline uintptr_t frame_start(const Zone& zone, const Frame* frame) {
  return zone.frame_address(frame_number(zone, frame));
}

// See buddy_allow_huge().
extern std::atomic<bool> g_may_be_huge;

// A mapped, empty frame: one whose memory had gone back, or a new one.
Frame* add_frame(Zone& zone, FrameHeap& heap, NodeId node) EP_REQUIRES(heap.lock);

// No page of the frame is asked to be huge from here on.
void tear_frame(const Zone& zone, FrameHeap& heap, Frame* frame) EP_REQUIRES(heap.lock);

// Sends free pages back until at most keep_bytes could still go; the bytes that went.
size_t release_until(const Zone& zone, FrameHeap& heap, size_t keep_bytes) EP_REQUIRES(heap.lock);
// Unmaps the 1 GiB pages of which nothing is used; the bytes that went, which were held until here.
// It looks at every empty frame.
size_t release_gigantic_pages(const Zone& zone, FrameHeap& heap) EP_REQUIRES(heap.lock);

}  // namespace elasticpool
