// The locked shell around frame_bits.h. See buddy.h.
#include "buddy/buddy.h"

#include <errno.h>

#include <atomic>

#include "base/bits.h"
#include "base/check.h"
#include "base/die.h"
#include "base/held_memory.h"
#include "base/reclaimer.h"
#include "buddy/frame_heap.h"
#include "os/clock.h"
#include "os/numa.h"
#include "os/vm.h"

namespace elasticpool {
namespace {

constexpr uint64_t kAtOnceBytes = 64 * kMiB;
// What a heap keeps when another tier grows.
constexpr size_t kTradeFloorBytes = 512 * kKiB;

constinit std::atomic<size_t> g_retain_bytes{8 * kMiB};
constinit std::atomic<uint64_t> g_surplus_bytes{0};

// Those of a node side by side: most machines have one.
constinit FrameHeap g_heaps[kNodesMax][kBlockZones];

FrameHeap& heap_of(const Zone& zone, NodeId node) {
  return g_heaps[index_of(node) % kNodesMax][index_of(zone.kind)];
}

// In the order of the zones, then of the nodes: the order in which fork takes their locks.
template <typename Visit>
void for_each_heap(Visit visit) {
  for (const Zone* zone : {&g_tiny_zone, &g_small_zone, &g_medium_zone}) {
    for (size_t node = 0; node < node_rows(); ++node) {
      visit(*zone, g_heaps[node][index_of(zone->kind)]);
    }
  }
}

unsigned granule_of(const Zone& zone, const void* p) {
  return static_cast<unsigned>((address_of(p) - zone.base) % kFrameBytes / kGranuleBytes);
}

// What a heap has grown by, for what comes after its lock.
struct Growth {
  bool grown = false;
  bool is_measured = false;  // what the first touch costs shall be noted
  FramePages pages = FramePages::kDefault;
};

// What is asked for beside the length, and what came of it.
struct Request {
  Charge kind;
  bool zeroed = false;
  Growth growth;
};

void mark_run(Frame* frame, unsigned first, unsigned count) {
  for (unsigned i = first; i < first + count; ++i) frame->first[i] = static_cast<uint8_t>(first);
  frame->count[first] = static_cast<uint8_t>(count);
}

void note_taken(FrameHeap& heap, Frame* frame, FrameBits bits, FrameBits reused)
    EP_REQUIRES(heap.lock) {
  heap.stats.used_granules += static_cast<unsigned>(std::popcount(bits));
  heap.stats.free_dirty_granules -= static_cast<unsigned>(std::popcount(reused));
  if (heap.releasable_granules() < heap.least_releasable_granules) {
    heap.least_releasable_granules = heap.releasable_granules();
  }
  if (heap.stats.used_granules > heap.peak_used_granules) {
    heap.peak_used_granules = heap.stats.used_granules;
  }
  const size_t again_bytes =
      static_cast<size_t>(std::popcount(frame->returned & bits)) * kGranuleBytes;
  if (again_bytes != 0) {
    heap.surplus.note_regret(again_bytes, heap.peak_used_granules * kGranuleBytes);
  }
  heap.stats.regretted_bytes += again_bytes;
  frame->returned &= ~bits;
  heap.surplus.note_taken(static_cast<size_t>(std::popcount(reused)) * kGranuleBytes + again_bytes);
}

// What of these free granules has no pages that we know of.
uint64_t fresh_bytes_of(const Frame* frame, FrameBits bits) {
  return static_cast<size_t>(std::popcount(bits & ~frame->dirty)) * kGranuleBytes;
}

// nullptr: over the limit (base/held_memory.h).
void* take_run(const Zone& zone, FrameHeap& heap, Frame* frame, size_t granules, Charge kind,
               bool* zeroed) EP_REQUIRES(heap.lock) {
  const auto count = static_cast<unsigned>(granules);
  const unsigned first = choose_block(frame->free, ceil_log2(granules));
  const FrameBits bits = run_bits(first, count);
  EP_ASSERT((frame->free & bits) == bits);
  if (!charge(fresh_bytes_of(frame, bits), kind)) return nullptr;
  heap.remove(frame);
  const FrameBits reused = frame->dirty & bits;
  frame->free &= ~bits;
  frame->dirty |= bits;
  mark_run(frame, first, count);
  heap.insert(frame);
  note_taken(heap, frame, bits, reused);
  *zeroed = reused == 0;
  return reinterpret_cast<void*>(zone.frame_address(frame_number(zone, frame)) +
                                 first * kGranuleBytes);
}

void give_back_run(const Zone& zone, FrameHeap& heap, Frame* frame, unsigned first)
    EP_REQUIRES(heap.lock) {
  const unsigned count = frame->count[first];
  EP_CHECK(count != 0);
  const size_t releasable_before_bytes = heap.releasable_bytes();
  heap.remove(frame);
  frame->free |= run_bits(first, count);
  frame->count[first] = 0;
  heap.insert(frame);
  heap.stats.used_granules -= count;
  heap.stats.free_dirty_granules += count;
  // Of a hugetlb page nothing is free before all of it is, and then all.
  const size_t releasable_bytes = heap.releasable_bytes();
  const uint64_t going_bytes = heap.surplus.note_freed(
      releasable_bytes - releasable_before_bytes, releasable_bytes,
      heap.stats.used_granules * kGranuleBytes, g_retain_bytes.load(std::memory_order_relaxed));
  if (EP_LIKELY(going_bytes == 0)) return;
  // The lock is held for so long; the rest goes with the next free.
  const uint64_t now_bytes = going_bytes < kAtOnceBytes ? going_bytes : kAtOnceBytes;
  heap.surplus.note_stayed(going_bytes - now_bytes);
  const size_t returned_bytes = release_until(zone, heap, releasable_bytes - now_bytes);
  heap.surplus.note_returned(returned_bytes);
  g_surplus_bytes.fetch_add(returned_bytes, std::memory_order_relaxed);
}

void* allocate_locked(Zone& zone, FrameHeap& heap, NodeId node, size_t granules, Request* request)
    EP_REQUIRES(heap.lock) {
  Growth* growth = &request->growth;
  Frame* frame = heap.fullest_with(ceil_log2(granules));
  if (frame == nullptr) {
    frame = add_frame(zone, heap, node);
    if (frame == nullptr) return nullptr;
    growth->grown = true;
    growth->pages = frame->pages;
    growth->is_measured = heap.stats.used_granules >= FrameHeap::kDenseGranules / 2 &&
                          should_measure_pages() && !is_hugetlb(frame->pages) &&
                          heap.payoff.should_measure(frame->pages == FramePages::kHuge);
  }
  return take_run(zone, heap, frame, granules, request->kind, &request->zeroed);
}

// From each node what may_go(heap) says, until it is enough.
template <typename MayGo>
size_t reclaim_from(const Zone& zone, size_t wanted_bytes, MayGo may_go) {
  size_t returned_bytes = 0;
  for (size_t node = 0; node < node_rows() && returned_bytes < wanted_bytes; ++node) {
    FrameHeap& heap = heap_of(zone, NodeId{static_cast<uint8_t>(node)});
    LockGuard guard(heap.lock);
    const size_t going_bytes = may_go(heap, wanted_bytes - returned_bytes);
    if (going_bytes == 0) continue;
    const size_t gone_bytes =
        release_until(zone, heap, saturating_subtract(heap.releasable_bytes(), going_bytes));
    heap.surplus.note_returned(gone_bytes);
    returned_bytes += gone_bytes;
  }
  return returned_bytes;
}

// Another tier grows.
size_t reclaim_for_growth(const Zone& zone, size_t wanted_bytes) {
  return reclaim_from(
      zone, wanted_bytes, [](FrameHeap& heap, size_t bytes) EP_NO_THREAD_SAFETY_ANALYSIS {
        const size_t room_bytes = saturating_subtract(heap.releasable_bytes(), kTradeFloorBytes);
        return heap.surplus.note_wanted(bytes, room_bytes);
      });
}

void trade_for_growth(const Zone& zone) {
  static constexpr Reclaimer kSelf[kBlockZones] = {Reclaimer::kTinyFrames, Reclaimer::kSmallFrames,
                                                   Reclaimer::kMediumFrames};
  reclaim_from_others(kSelf[index_of(zone.kind)], kFrameBytes);
}

// The run is the first of a new frame, and still the caller's alone: every byte of it is zero, and
// stays so.
void measure_first_touch(FrameHeap& heap, void* run, FramePages pages) {
  const int saved_errno = errno;
  auto* const first = static_cast<volatile char*>(run);
  const size_t page = page_bytes();
  // The first small page also costs the table that all of the frame's stand in.
  if (pages != FramePages::kHuge) *first = 0;
  const uint64_t before_ns = monotonic_ns();
  first[pages == FramePages::kHuge ? 0 : page] = 0;
  const uint64_t touch_ns = monotonic_ns() - before_ns;
  errno = saved_errno;
  LockGuard guard(heap.lock);
  if (pages == FramePages::kHuge) {
    heap.payoff.note_huge(touch_ns, kFrameBytes / page);
  } else {
    heap.payoff.note_small(touch_ns);
  }
}

// After the lock.
void follow_growth(const Zone& zone, FrameHeap& heap, void* run, const Growth& growth) {
  if (!growth.grown || run == nullptr) return;
  if (growth.is_measured) measure_first_touch(heap, run, growth.pages);
  trade_for_growth(zone);
}

Frame* frame_holding(const Zone& zone, const void* p) { return frame_at(zone, zone.frame_of(p)); }

void add_stats(FrameHeap& heap, BuddyStats* sum) {
  LockGuard guard(heap.lock);
  sum->frames += heap.stats.frames;
  sum->huge_frames += heap.stats.huge_frames;
  sum->hugetlb_frames += heap.stats.hugetlb_frames;
  sum->used_granules += heap.stats.used_granules;
  sum->free_dirty_granules += heap.stats.free_dirty_granules;
  sum->returned_bytes += heap.stats.returned_bytes;
  sum->regretted_bytes += heap.stats.regretted_bytes;
  sum->live_blocks += heap.stats.live_blocks;
  sum->live_bytes += heap.stats.live_bytes;
  sum->requests += heap.stats.requests;
}

// Gives back what lies behind the first `granules` of a run.
void cut_tail(const Zone& zone, FrameHeap& heap, void* run, size_t granules)
    EP_REQUIRES(heap.lock) {
  Frame* frame = frame_holding(zone, run);
  const unsigned first = granule_of(zone, run);
  const unsigned tail = first + static_cast<unsigned>(granules);
  mark_run(frame, tail, frame->count[first] - static_cast<unsigned>(granules));
  frame->count[first] = static_cast<uint8_t>(granules);
  give_back_run(zone, heap, frame, tail);
}

}  // namespace

void buddy_set_retain(size_t retain_bytes) {
  g_retain_bytes.store(retain_bytes, std::memory_order_relaxed);
}

void buddy_allow_huge(bool allowed) { g_may_be_huge.store(allowed, std::memory_order_relaxed); }

uint64_t buddy_surplus_bytes() { return g_surplus_bytes.load(std::memory_order_relaxed); }

size_t buddy_reclaim_tiny(size_t wanted_bytes) {
  return reclaim_for_growth(g_tiny_zone, wanted_bytes);
}

size_t buddy_reclaim_small(size_t wanted_bytes) {
  return reclaim_for_growth(g_small_zone, wanted_bytes);
}

size_t buddy_reclaim_medium(size_t wanted_bytes) {
  return reclaim_for_growth(g_medium_zone, wanted_bytes);
}

void* buddy_allocate(Zone& zone, NodeId node, size_t granules, bool* zeroed) {
  FrameHeap& heap = heap_of(zone, node);
  Request request{.kind = Charge::kSlab, .growth = {}};
  void* run = nullptr;
  {
    LockGuard guard(heap.lock);
    run = allocate_locked(zone, heap, node, granules, &request);
  }
  *zeroed = request.zeroed;
  follow_growth(zone, heap, run, request.growth);
  return run;
}

void buddy_free(Zone& zone, void* run) {
  Frame* frame = frame_holding(zone, run);
  FrameHeap& heap = heap_of(zone, frame->node);
  LockGuard guard(heap.lock);
  give_back_run(zone, heap, frame, granule_of(zone, run));
}

void* buddy_allocate_block(NodeId node, size_t bytes, size_t align_bytes, bool* zeroed) {
  // A run is aligned to the power of two above its length: an alignment beyond that is asked for as
  // length, and what is not needed is given back at once.
  const size_t needed = divide_up(bytes, kGranuleBytes);
  const size_t aligned = divide_up(align_bytes, kGranuleBytes);
  const size_t granules = needed > aligned ? needed : aligned;
  Zone& zone = g_medium_zone;
  FrameHeap& heap = heap_of(zone, node);
  Request request{.kind = Charge::kBlock, .growth = {}};
  void* block = nullptr;
  {
    LockGuard guard(heap.lock);
    block = allocate_locked(zone, heap, node, granules, &request);
    if (block == nullptr) return nullptr;
    if (granules > needed) {
      cut_tail(zone, heap, block, needed);
      request.growth.is_measured = false;  // the frame may have been torn
    }
    ++heap.stats.live_blocks;
    ++heap.stats.requests;
    heap.stats.live_bytes += needed * kGranuleBytes;
  }
  *zeroed = request.zeroed;
  follow_growth(zone, heap, block, request.growth);
  return block;
}

void buddy_free_block(void* block) {
  Frame* frame = frame_holding(g_medium_zone, block);
  FrameHeap& heap = heap_of(g_medium_zone, frame->node);
  LockGuard guard(heap.lock);
  const unsigned first = granule_of(g_medium_zone, block);
  // Two threads freed it at the same instant: the block map stops every other second free.
  if (EP_UNLIKELY(frame->count[first] == 0)) die_double_free(block);
  --heap.stats.live_blocks;
  heap.stats.live_bytes -= frame->count[first] * kGranuleBytes;
  give_back_run(g_medium_zone, heap, frame, first);
}

size_t buddy_run_bytes(const Zone& zone, const void* run) {
  return frame_holding(zone, run)->count[granule_of(zone, run)] * kGranuleBytes;
}

NodeId buddy_run_node(const Zone& zone, const void* run) { return frame_holding(zone, run)->node; }

bool buddy_resize_block(void* block, size_t bytes) {
  Zone& zone = g_medium_zone;
  Frame* frame = frame_holding(zone, block);
  FrameHeap& heap = heap_of(zone, frame->node);
  LockGuard guard(heap.lock);
  const unsigned first = granule_of(zone, block);
  const unsigned old_count = frame->count[first];
  const auto count = static_cast<unsigned>(divide_up(bytes, kGranuleBytes));
  if (count == old_count) return true;
  if (count < old_count) {
    heap.stats.live_bytes -= (old_count - count) * kGranuleBytes;
    cut_tail(zone, heap, block, count);
    return true;
  }
  if (first + count > kGranulesPerFrame) return false;
  const FrameBits added = run_bits(first + old_count, count - old_count);
  if ((frame->free & added) != added) return false;
  if (!charge(fresh_bytes_of(frame, added), Charge::kBlock)) return false;
  heap.remove(frame);
  const FrameBits reused = frame->dirty & added;
  frame->free &= ~added;
  frame->dirty |= added;
  mark_run(frame, first, count);
  heap.insert(frame);
  note_taken(heap, frame, added, reused);
  heap.stats.live_bytes += (count - old_count) * kGranuleBytes;
  return true;
}

void* buddy_run_start(const Zone& zone, const void* p) {
  const Frame* frame = frame_holding(zone, p);
  const unsigned first = frame->first[granule_of(zone, p)];
  return reinterpret_cast<void*>(zone.frame_address(zone.frame_of(p)) + first * kGranuleBytes);
}

bool buddy_return_pages(const Zone& zone, uintptr_t from, size_t bytes) {
  Frame* frame = frame_holding(zone, reinterpret_cast<const void*>(from));
  FrameHeap& heap = heap_of(zone, frame->node);
  FramePages pages = FramePages::kDefault;
  {
    LockGuard guard(heap.lock);
    tear_frame(zone, heap, frame);
    pages = frame->pages;
  }
  if (!return_pages(from, bytes, pages)) return false;
  numa_place(from, bytes, frame->node);
  return true;
}

size_t buddy_release(size_t keep_bytes) {
  size_t returned_bytes = 0;
  for_each_heap([&](const Zone& zone, FrameHeap& heap) {
    LockGuard guard(heap.lock);
    returned_bytes += release_until(zone, heap, keep_bytes);
    if (keep_bytes < kGiB) returned_bytes += release_gigantic_pages(zone, heap);
    heap.surplus.reset();
  });
  return returned_bytes;
}

size_t buddy_release_zone(ZoneKind kind, size_t keep_bytes) {
  const Zone* const zones[kBlockZones] = {&g_tiny_zone, &g_small_zone, &g_medium_zone};
  const size_t free_bytes = buddy_free_bytes(kind);
  if (free_bytes <= keep_bytes) return 0;
  return reclaim_from(*zones[index_of(kind)], free_bytes - keep_bytes,
                      [](const FrameHeap&, size_t wanted_bytes) { return wanted_bytes; });
}

size_t buddy_free_bytes(ZoneKind kind) {
  size_t free_bytes = 0;
  for (size_t node = 0; node < node_rows(); ++node) {
    FrameHeap& heap = g_heaps[node][index_of(kind)];
    LockGuard guard(heap.lock);
    free_bytes += heap.releasable_bytes();
  }
  return free_bytes;
}

size_t buddy_least_free_bytes(ZoneKind kind) {
  size_t least_bytes = 0;
  for (size_t node = 0; node < node_rows(); ++node) {
    FrameHeap& heap = g_heaps[node][index_of(kind)];
    LockGuard guard(heap.lock);
    const uint64_t free_granules = heap.releasable_granules();
    const uint64_t least = heap.least_releasable_granules;
    least_bytes += (least < free_granules ? least : free_granules) * kGranuleBytes;
    heap.least_releasable_granules = free_granules;
  }
  return least_bytes;
}

BuddyStats buddy_stats(ZoneKind kind) {
  BuddyStats sum;
  for (auto& of_node : g_heaps) add_stats(of_node[index_of(kind)], &sum);
  return sum;
}

BuddyStats buddy_node_stats(NodeId node) {
  BuddyStats sum;
  for (FrameHeap& heap : g_heaps[index_of(node) % kNodesMax]) add_stats(heap, &sum);
  return sum;
}

void buddy_lock_for_fork() EP_NO_THREAD_SAFETY_ANALYSIS {
  for_each_heap([](const Zone&, FrameHeap& heap)
                    EP_NO_THREAD_SAFETY_ANALYSIS { heap.lock.lock_for_fork(); });
}

void buddy_unlock_after_fork(bool in_child) EP_NO_THREAD_SAFETY_ANALYSIS {
  for_each_heap([in_child](const Zone&, FrameHeap& heap)
                    EP_NO_THREAD_SAFETY_ANALYSIS { heap.lock.unlock_after_fork(in_child); });
}

}  // namespace elasticpool
