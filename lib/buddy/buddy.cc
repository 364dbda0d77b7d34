// The locked shell around frame_bits.h. See buddy.h.
#include "buddy/buddy.h"

#include <atomic>

#include "base/bits.h"
#include "base/check.h"
#include "base/die.h"
#include "base/reclaimer.h"
#include "os/numa.h"
#include "os/vm.h"

namespace elasticpool {
namespace {

constexpr unsigned kUsedLevels = kGranulesPerFrame + 1;

// How much has to go back for a byte of regret to be forgotten.
constexpr size_t kForgetShare = 4;
// What a heap keeps when another tier grows.
constexpr size_t kTradeFloorBytes = 512 * kKiB;

constinit std::atomic<size_t> g_retain_bytes{16 * kMiB};
constinit std::atomic<uint64_t> g_surplus_bytes{0};

unsigned used_of(const Frame& frame) {
  return static_cast<unsigned>(kGranulesPerFrame) -
         static_cast<unsigned>(std::popcount(frame.free));
}

// The frames of one node in one zone, by largest free order and by how many granules are used.
struct FrameHeap {
  using FrameList = List<Frame, &Frame::link>;

  Lock lock{LockRank::kBuddy};
  FrameList by_order[kOrders][kUsedLevels] EP_GUARDED_BY(lock);
  // Bit u: by_order[order][u] is not empty.
  uint64_t levels[kOrders] EP_GUARDED_BY(lock) = {};
  // Frames whose memory went back; their addresses are still ours to map again.
  FrameList absent EP_GUARDED_BY(lock);
  BuddyStats stats EP_GUARDED_BY(lock);
  // Bytes that were given back and taken again: what the bound was too low by.
  size_t regret_bytes EP_GUARDED_BY(lock) = 0;

  size_t free_dirty_bytes() const EP_REQUIRES(lock) {
    return stats.free_dirty_granules * kGranuleBytes;
  }
  // Free memory never needs to be more than what is in use: the bound stops there.
  size_t retain_bytes() const EP_REQUIRES(lock) {
    const size_t base_bytes = g_retain_bytes.load(std::memory_order_relaxed);
    const size_t peak_bytes = peak_used_granules * kGranuleBytes;
    const size_t regret = regret_bytes < peak_bytes ? regret_bytes : peak_bytes;
    return base_bytes + regret;
  }
  size_t peak_used_granules EP_GUARDED_BY(lock) = 0;
  size_t least_free_granules EP_GUARDED_BY(lock) = 0;

  void insert(Frame* frame) EP_REQUIRES(lock) {
    const int order = largest_free_order(frame->free);
    if (order == kNoOrder) return;
    const unsigned used = used_of(*frame);
    by_order[order][used].push_front(frame);
    levels[order] |= uint64_t{1} << used;
  }

  void remove(Frame* frame) EP_REQUIRES(lock) {
    const int order = largest_free_order(frame->free);
    if (order == kNoOrder) return;
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

constinit FrameHeap g_heaps[kBlockZones][kNodesMax];

FrameHeap& heap_of(const Zone& zone, NodeId node) {
  return g_heaps[index_of(zone.kind)][index_of(node) % kNodesMax];
}

// In the order of the zones, then of the nodes: the order in which fork takes their locks.
template <typename Visit>
void for_each_heap(Visit visit) {
  for (const Zone* zone : {&g_tiny_zone, &g_small_zone, &g_medium_zone}) {
    for (size_t node = 0; node < node_rows(); ++node) {
      visit(*zone, g_heaps[index_of(zone->kind)][node]);
    }
  }
}

Frame* frame_at(const Zone& zone, size_t frame) { return static_cast<Frame*>(zone.side_of(frame)); }

size_t frame_number(const Zone& zone, const Frame* frame) {
  return (address_of(frame) - zone.side) / zone.side_bytes_per_frame;
}

unsigned granule_of(const Zone& zone, const void* p) {
  return static_cast<unsigned>((address_of(p) - zone.base) % kFrameBytes / kGranuleBytes);
}

void start_frame(const Zone& zone, FrameHeap& heap, Frame* frame, NodeId node)
    EP_REQUIRES(heap.lock) {
  numa_place(zone.frame_address(frame_number(zone, frame)), kFrameBytes, node);
  frame->free = kAllFree;
  frame->dirty = 0;
  frame->node = node;
  frame->mapped = true;
  ++heap.stats.frames;
  heap.insert(frame);
}

// A mapped, empty frame: one whose memory had gone back, or a new one.
Frame* add_frame(Zone& zone, FrameHeap& heap, NodeId node) EP_REQUIRES(heap.lock) {
  while (Frame* frame = heap.absent.pop_front()) {
    const uintptr_t address = zone.frame_address(frame_number(zone, frame));
    const MapStatus status = vm().map_at(address, kFrameBytes);
    if (status == MapStatus::kMapped) {
      start_frame(zone, heap, frame, node);
      return frame;
    }
    if (status == MapStatus::kNoMemory) {
      heap.absent.push_front(frame);
      return nullptr;
    }
    // Somebody else has mapped something there meanwhile: the addresses are lost to us.
  }
  size_t number = 0;
  if (grow_zone(zone, 1, &number) != GrowStatus::kGrown) return nullptr;
  Frame* frame = frame_at(zone, number);
  start_frame(zone, heap, frame, node);
  return frame;
}

void mark_run(Frame* frame, unsigned first, unsigned count) {
  for (unsigned i = first; i < first + count; ++i) frame->first[i] = static_cast<uint8_t>(first);
  frame->count[first] = static_cast<uint8_t>(count);
}

void note_taken(FrameHeap& heap, Frame* frame, FrameBits bits, FrameBits reused)
    EP_REQUIRES(heap.lock) {
  heap.stats.used_granules += static_cast<unsigned>(std::popcount(bits));
  heap.stats.free_dirty_granules -= static_cast<unsigned>(std::popcount(reused));
  if (heap.stats.free_dirty_granules < heap.least_free_granules) {
    heap.least_free_granules = heap.stats.free_dirty_granules;
  }
  if (heap.stats.used_granules > heap.peak_used_granules) {
    heap.peak_used_granules = heap.stats.used_granules;
  }
  const size_t again_bytes =
      static_cast<size_t>(std::popcount(frame->returned & bits)) * kGranuleBytes;
  // What counts is bounded by the peak; more would take as long to be forgotten.
  const size_t most_bytes = heap.peak_used_granules * kGranuleBytes;
  heap.regret_bytes += again_bytes;
  if (heap.regret_bytes > most_bytes) heap.regret_bytes = most_bytes;
  heap.stats.regretted_bytes += again_bytes;
  frame->returned &= ~bits;
}

void* take_run(const Zone& zone, FrameHeap& heap, Frame* frame, size_t granules, bool* zeroed)
    EP_REQUIRES(heap.lock) {
  const auto count = static_cast<unsigned>(granules);
  const unsigned first = choose_block(frame->free, ceil_log2(granules));
  const FrameBits bits = run_bits(first, count);
  EP_ASSERT((frame->free & bits) == bits);
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

// Sends the dirty free granules of a frame back; the whole frame where nothing of it is used.
size_t release_frame(const Zone& zone, FrameHeap& heap, Frame* frame) EP_REQUIRES(heap.lock) {
  const uintptr_t start = zone.frame_address(frame_number(zone, frame));
  FrameBits going = frame->dirty & frame->free;
  size_t returned_bytes = 0;
  if (frame->free == kAllFree && vm().unmap(start, kFrameBytes)) {
    release_map(zone, frame_number(zone, frame));
    heap.remove(frame);
    frame->mapped = false;
    frame->free = 0;
    heap.absent.push_front(frame);
    --heap.stats.frames;
    returned_bytes = static_cast<size_t>(std::popcount(going)) * kGranuleBytes;
    heap.stats.free_dirty_granules -= static_cast<unsigned>(std::popcount(going));
    frame->returned |= going;
    frame->dirty = 0;
  } else {
    while (going != 0) {
      const auto first = static_cast<unsigned>(std::countr_zero(going));
      const auto count = static_cast<unsigned>(std::countr_one(going >> first));
      const FrameBits bits = run_bits(first, count);
      going &= ~bits;
      const uintptr_t from = start + first * kGranuleBytes;
      if (!vm().decommit(from, count * kGranuleBytes)) continue;
      numa_place(from, count * kGranuleBytes, frame->node);
      frame->dirty &= ~bits;
      frame->returned |= bits;
      heap.stats.free_dirty_granules -= count;
      returned_bytes += count * kGranuleBytes;
    }
  }
  heap.stats.returned_bytes += returned_bytes;
  return returned_bytes;
}

// Emptiest frames first: what lies free in full ones is wanted again soonest.
size_t release_until(const Zone& zone, FrameHeap& heap, size_t keep_bytes) EP_REQUIRES(heap.lock) {
  size_t returned_bytes = 0;
  for (unsigned used = 0; used < kUsedLevels; ++used) {
    for (unsigned order = kOrders; order-- > 0;) {
      Frame* following = nullptr;
      for (Frame* frame = heap.by_order[order][used].front(); frame != nullptr; frame = following) {
        if (heap.free_dirty_bytes() <= keep_bytes) return returned_bytes;
        following = FrameHeap::FrameList::next(frame);
        if ((frame->dirty & frame->free) != 0 || frame->free == kAllFree) {
          returned_bytes += release_frame(zone, heap, frame);
        }
      }
    }
  }
  return returned_bytes;
}

void give_back_run(const Zone& zone, FrameHeap& heap, Frame* frame, unsigned first)
    EP_REQUIRES(heap.lock) {
  const unsigned count = frame->count[first];
  EP_CHECK(count != 0);
  heap.remove(frame);
  frame->free |= run_bits(first, count);
  frame->count[first] = 0;
  heap.insert(frame);
  heap.stats.used_granules -= count;
  heap.stats.free_dirty_granules += count;
  const size_t retain_bytes = heap.retain_bytes();
  if (heap.free_dirty_bytes() > retain_bytes) {
    // Down to three quarters, so that not every free pays.
    const size_t returned_bytes = release_until(zone, heap, retain_bytes - retain_bytes / 4);
    // What goes now outweighs what was wanted again once: a program that swings takes it back, and
    // that is regret anew; one that is over its peak does not.
    g_surplus_bytes.fetch_add(returned_bytes, std::memory_order_relaxed);
    const size_t forgotten_bytes = returned_bytes / kForgetShare;
    heap.regret_bytes -= forgotten_bytes < heap.regret_bytes ? forgotten_bytes : heap.regret_bytes;
  }
}

void* allocate_locked(Zone& zone, FrameHeap& heap, NodeId node, size_t granules, bool* zeroed,
                      bool* grown) EP_REQUIRES(heap.lock) {
  Frame* frame = heap.fullest_with(ceil_log2(granules));
  if (frame == nullptr) {
    frame = add_frame(zone, heap, node);
    *grown = frame != nullptr;
  }
  if (frame == nullptr) return nullptr;
  return take_run(zone, heap, frame, granules, zeroed);
}

// Of each node all but `floor_bytes`, until it is enough.
size_t reclaim_from(const Zone& zone, size_t wanted_bytes, size_t floor_bytes = kTradeFloorBytes) {
  size_t returned_bytes = 0;
  for (size_t node = 0; node < node_rows() && returned_bytes < wanted_bytes; ++node) {
    FrameHeap& heap = heap_of(zone, NodeId{static_cast<uint8_t>(node)});
    LockGuard guard(heap.lock);
    const size_t free_bytes = heap.free_dirty_bytes();
    if (free_bytes <= floor_bytes) continue;
    const size_t room_bytes = free_bytes - floor_bytes;
    const size_t going_bytes = wanted_bytes - returned_bytes;
    returned_bytes += release_until(
        zone, heap, free_bytes - (going_bytes < room_bytes ? going_bytes : room_bytes));
  }
  return returned_bytes;
}

void trade_for_growth(const Zone& zone) {
  static constexpr Reclaimer kSelf[kBlockZones] = {Reclaimer::kTinyFrames, Reclaimer::kSmallFrames,
                                                   Reclaimer::kMediumFrames};
  reclaim_from_others(kSelf[index_of(zone.kind)], kFrameBytes);
}

Frame* frame_holding(const Zone& zone, const void* p) { return frame_at(zone, zone.frame_of(p)); }

void add_stats(FrameHeap& heap, BuddyStats* sum) {
  LockGuard guard(heap.lock);
  sum->frames += heap.stats.frames;
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

uint64_t buddy_surplus_bytes() { return g_surplus_bytes.load(std::memory_order_relaxed); }

size_t buddy_reclaim_tiny(size_t wanted_bytes) { return reclaim_from(g_tiny_zone, wanted_bytes); }

size_t buddy_reclaim_small(size_t wanted_bytes) { return reclaim_from(g_small_zone, wanted_bytes); }

size_t buddy_reclaim_medium(size_t wanted_bytes) {
  return reclaim_from(g_medium_zone, wanted_bytes);
}

void* buddy_allocate(Zone& zone, NodeId node, size_t granules, bool* zeroed) {
  FrameHeap& heap = heap_of(zone, node);
  bool grown = false;
  void* run = nullptr;
  {
    LockGuard guard(heap.lock);
    run = allocate_locked(zone, heap, node, granules, zeroed, &grown);
  }
  if (grown) trade_for_growth(zone);
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
  bool grown = false;
  void* block = nullptr;
  {
    LockGuard guard(heap.lock);
    block = allocate_locked(zone, heap, node, granules, zeroed, &grown);
    if (block == nullptr) return nullptr;
    if (granules > needed) cut_tail(zone, heap, block, needed);
    ++heap.stats.live_blocks;
    ++heap.stats.requests;
    heap.stats.live_bytes += needed * kGranuleBytes;
  }
  if (grown) trade_for_growth(zone);
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

size_t buddy_release(size_t keep_bytes) {
  size_t returned_bytes = 0;
  for_each_heap([&](const Zone& zone, FrameHeap& heap) {
    LockGuard guard(heap.lock);
    returned_bytes += release_until(zone, heap, keep_bytes);
    heap.regret_bytes = 0;
  });
  return returned_bytes;
}

size_t buddy_release_zone(ZoneKind kind, size_t keep_bytes) {
  const Zone* const zones[kBlockZones] = {&g_tiny_zone, &g_small_zone, &g_medium_zone};
  const size_t free_bytes = buddy_free_bytes(kind);
  if (free_bytes <= keep_bytes) return 0;
  return reclaim_from(*zones[index_of(kind)], free_bytes - keep_bytes, 0);
}

size_t buddy_free_bytes(ZoneKind kind) {
  size_t free_bytes = 0;
  for (size_t node = 0; node < node_rows(); ++node) {
    FrameHeap& heap = g_heaps[index_of(kind)][node];
    LockGuard guard(heap.lock);
    free_bytes += heap.free_dirty_bytes();
  }
  return free_bytes;
}

size_t buddy_least_free_bytes(ZoneKind kind) {
  size_t least_bytes = 0;
  for (size_t node = 0; node < node_rows(); ++node) {
    FrameHeap& heap = g_heaps[index_of(kind)][node];
    LockGuard guard(heap.lock);
    const uint64_t free_granules = heap.stats.free_dirty_granules;
    const uint64_t least = heap.least_free_granules;
    least_bytes += (least < free_granules ? least : free_granules) * kGranuleBytes;
    heap.least_free_granules = free_granules;
  }
  return least_bytes;
}

BuddyStats buddy_stats(ZoneKind kind) {
  BuddyStats sum;
  for (FrameHeap& heap : g_heaps[index_of(kind)]) add_stats(heap, &sum);
  return sum;
}

BuddyStats buddy_node_stats(NodeId node) {
  BuddyStats sum;
  for (auto& heaps : g_heaps) add_stats(heaps[index_of(node) % kNodesMax], &sum);
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
