// The state of the extents under their locks, and the steps that the interface (extents.h) puts
// together. Private to large/.
//
// An extent or a range is at any time in one of these places:
//
//     the index      free; its neighbours of the same state are one with it
//     published      live: its number stands in the extent map, free() and realloc() may come
//     a room         a hole behind a live extent, in no index
//     in hand        none of the above: the thread that took it out does with it what it likes
//
// Threads     any that holds `lock`; `trim_lock` too where it says so. Whoever has something in
//             hand may let `lock` go around a system call, and all that was read before is stale
//             then. These do: obtain(), bring_near(), relocate(), drop_pages(), trim(),
//             trim_surplus(), give_all_back().
// Locks       trim_lock, then lock, both of rank kLarge, as extents.h says.
// Invariants  a record's range, room and links are touched only under `lock`, in hand or not;
//             mapped_granules_ = live + resident + clean, and what is in hand and mapped;
//             counters.live_* count what is published; what is held (base/held_memory.h) is
//             mapped_granules_ less the clean ones, once settle_held() was called.
// Refusals    kNoRange or false: all is as it was, but for what has gone to the index as free.
// Where       placement.cc finds and maps, growth.cc grows and shrinks, purge.cc gives back,
//             large_heap.cc publishes and retires.
// Cost        as in extents.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/lock.h"
#include "base/surplus_gauge.h"
#include "base/units.h"
#include "large/extent_index.h"
#include "large/extent_records.h"
#include "large/extents.h"
#include "os/vm.h"
#include "pagemap/zone.h"

namespace elasticpool {

struct ExtentRequest {
  uint32_t granules;
  uint32_t align;  // in granules
  size_t usable_bytes;
};

// An extent in the caller's hands; kNoRange: refused.
struct Obtained {
  RangeId id;
  bool zeroed;
  bool reused;  // comes from mapped free ranges
};

class LargeHeap {
 public:
  // See base/surplus_gauge.h.
  static constexpr uint64_t kWindowShare = 2;

  // Held while pages are taken back, during which `lock` is let go: whoever needs what is in that
  // one's hands waits here. Taken before `lock`; behind it only by try_lock().
  Lock trim_lock{LockRank::kLarge};
  Lock lock{LockRank::kLarge};

  // A record never moves. Without `lock` its usable_bytes are all that may be looked at.
  static Extent& extent(RangeId id) { return records_.extent(id); }
  static Range& range(RangeId id) { return records_.range(id); }
  // The record of the live extent that starts at p.
  static RangeId live_at(const void* p) {
    const uintptr_t step = step_of<kLargeShape>(p);
    if (!g_large_zone.holds_step(step)) return kNoRange;
    const auto granule = static_cast<uint32_t>(step - g_large_zone.first_step);
    // order[extent]: sees the record as publish() left it.
    return cell(granule).load(std::memory_order_acquire);
  }

  void configure(FitPolicy fit, size_t retain_bytes) EP_REQUIRES(lock) {
    fit_ = fit;
    set_retain(retain_bytes);
    index_.set_origin(g_large_zone.base / kGranuleBytes);
  }

  void set_retain(size_t retain_bytes) {
    retain_bytes_.store(retain_bytes, std::memory_order_relaxed);
  }

  // Into the caller's hands: from the warmest state that can serve, else mapped.
  Obtained obtain(const ExtentRequest& request) EP_REQUIRES(lock);

  // An extent in hand, over what is free behind it. False: it keeps what it has got.
  bool grow_in_place(RangeId id, uint32_t granules) EP_REQUIRES(lock);
  // An extent in hand, elsewhere and longer; the old one is retired. kNoRange: refused, it is as it
  // was.
  RangeId relocate(RangeId id, const ExtentRequest& request) EP_REQUIRES(lock);
  // An extent in hand gives its tail back; keeps it where there is no record for it.
  void shrink(RangeId id, uint32_t granules) EP_REQUIRES(lock);

  // Out of hand: as a live extent, or into the index.
  void* publish(RangeId id, size_t usable_bytes) EP_REQUIRES(lock);
  void retire(RangeId id, RangeState state) EP_REQUIRES(lock);
  // Into the caller's hands: from here on other threads find no block.
  void unpublish(RangeId id) EP_REQUIRES(lock);

  // Takes the pages of resident ranges back until at most so much is left; the bytes returned.
  size_t trim(uint64_t keep_granules, uint64_t most_bytes = UINT64_MAX)
      EP_REQUIRES(trim_lock, lock);
  // After a free of so much: takes back what nobody wanted for a while (base/surplus_gauge.h).
  void trim_surplus(uint64_t freed_bytes) EP_REQUIRES(lock);
  // The system refuses: all that is kept for later goes, so that the next attempt finds memory,
  // address space under RLIMIT_AS, records, and free ranges in one piece.
  void give_all_back() EP_REQUIRES(lock);

  // Tells base/held_memory.h what has changed since the last time, by whomever. `charged_bytes`: it
  // knows of so much already, of the caller's request.
  void settle_held(uint64_t charged_bytes) EP_REQUIRES(lock);

  uint64_t free_resident_bytes() const EP_REQUIRES(lock) {
    return bytes_of(index_.granules(RangeState::kResident));
  }
  LargeStats snapshot() const EP_REQUIRES(lock);
  // See large_least_free_bytes().
  size_t take_least_free_bytes() EP_REQUIRES(lock);

  // What snapshot() does not work out from the index.
  LargeStats counters EP_GUARDED_BY(lock) = {};
  SurplusGauge<kWindowShare> surplus EP_GUARDED_BY(lock);

 private:
  static uintptr_t address_at(uint32_t granule) {
    return g_large_zone.base + granule * kGranuleBytes;
  }
  static size_t bytes_of(uint64_t granules) { return granules * kGranuleBytes; }
  static std::atomic_ref<uint32_t> cell(uint32_t granule) {
    return std::atomic_ref<uint32_t>(reinterpret_cast<uint32_t*>(g_large_zone.map)[granule]);
  }

  // placement.cc
  // As vm().map_at() and vm().decommit(), for MEMPOOL_NUMA=interleave too. Without `lock`, or with.
  static MapStatus map_pages(uintptr_t start, size_t bytes);
  static bool decommit_pages(uintptr_t start, size_t bytes);
  RangeId find(RangeState state, const ExtentRequest& request) const EP_REQUIRES(lock);
  RangeId take(RangeId id, const ExtentRequest& request) EP_REQUIRES(lock);
  void extend_front(RangeId id, RangeId clean, uint32_t granules) EP_REQUIRES(lock);
  RangeId continue_resident(const ExtentRequest& request) EP_REQUIRES(lock);
  bool claim(const ExtentRequest& request, size_t skip_frames) EP_REQUIRES(lock);
  bool reaches(uint32_t from, uint32_t granules) EP_REQUIRES(lock);
  RangeId take_addresses(const ExtentRequest& request, size_t skip_frames) EP_REQUIRES(lock);
  void lose(RangeId id) EP_REQUIRES(lock);
  void note_regret(uint32_t granules) EP_REQUIRES(lock);
  static size_t next_skip_frames(size_t skip_frames, uint32_t granules);
  RangeId map_new(const ExtentRequest& request) EP_REQUIRES(lock);
  Obtained bring_near(RangeId id) EP_REQUIRES(lock);

  // growth.cc
  MapStatus map_behind(RangeId id, uint32_t granules) EP_REQUIRES(lock);
  bool grow_into_room(RangeId id, uint32_t granules) EP_REQUIRES(lock);
  RangeId take_room(const ExtentRequest& request, size_t skip_frames) EP_REQUIRES(lock);
  MapStatus move_pages(RangeId from, RangeId to, bool* copied) EP_REQUIRES(lock);
  void free_room(RangeId id) EP_REQUIRES(lock);

  // purge.cc
  RangeState drop_pages(RangeId id) EP_REQUIRES(lock);
  void unmap_all(RangeState state) EP_REQUIRES(lock);

  static ExtentRecords records_;
  ExtentIndex<ExtentRecords> index_ EP_GUARDED_BY(lock){records_};
  FitPolicy fit_ EP_GUARDED_BY(lock) = FitPolicy::kBest;
  std::atomic<uint64_t> retain_bytes_{0};
  uint64_t mapped_granules_ EP_GUARDED_BY(lock) = 0;
  uint64_t held_granules_ EP_GUARDED_BY(lock) = 0;  // as settle_held() saw it last
  uint64_t least_free_granules_ EP_GUARDED_BY(lock) = 0;
};

extern LargeHeap g_large_heap;

}  // namespace elasticpool
