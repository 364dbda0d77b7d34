// Live and free: what is seen of an extent from outside, and what it leaves. See large_heap.h.
#include "large/large_heap.h"

#include <algorithm>
#include <atomic>

#include "base/held_memory.h"

namespace elasticpool {

constinit ExtentRecords LargeHeap::records_;
constinit LargeHeap g_large_heap;

void* LargeHeap::publish(RangeId id, size_t usable_bytes) {
  extent(id).usable_bytes.store(usable_bytes, std::memory_order_relaxed);
  ++counters.live_extents;
  counters.live_bytes += usable_bytes;
  counters.peak_live_bytes = std::max(counters.peak_live_bytes, counters.live_bytes);
  // order[extent]: whoever finds the number sees the record, and the chunk it lies in.
  cell(range(id).start).store(id, std::memory_order_release);
  return reinterpret_cast<void*>(address_at(range(id).start));
}

void LargeHeap::unpublish(RangeId id) {
  cell(range(id).start).store(kNoRange, std::memory_order_relaxed);
  --counters.live_extents;
  counters.live_bytes -= extent(id).usable_bytes.load(std::memory_order_relaxed);
}

void LargeHeap::retire(RangeId id, RangeState state) {
  free_room(id);
  range(id).state = state;
  index_.insert(id);
}

void LargeHeap::free_room(RangeId id) {
  if (extent(id).room == kNoRange) return;
  index_.insert(extent(id).room);
  extent(id).room = kNoRange;
}

void LargeHeap::settle_held(uint64_t charged_bytes) {
  const uint64_t held_granules = mapped_granules_ - index_.granules(RangeState::kClean);
  const auto grown_bytes = static_cast<int64_t>(bytes_of(held_granules - held_granules_));
  held_granules_ = held_granules;
  correct_held(grown_bytes - static_cast<int64_t>(charged_bytes));
  if (grown_bytes > 0) tick_growth(static_cast<uint64_t>(grown_bytes));
}

LargeStats LargeHeap::snapshot() const {
  LargeStats stats = counters;
  stats.free_resident_bytes = bytes_of(index_.granules(RangeState::kResident));
  stats.free_clean_bytes = bytes_of(index_.granules(RangeState::kClean));
  stats.hole_bytes = bytes_of(index_.granules(RangeState::kHole));
  stats.mapped_bytes = bytes_of(mapped_granules_);
  return stats;
}

size_t LargeHeap::take_least_free_bytes() {
  const uint64_t free_granules = index_.granules(RangeState::kResident);
  const uint64_t least_granules = std::min(least_free_granules_, free_granules);
  least_free_granules_ = free_granules;
  return bytes_of(least_granules);
}

}  // namespace elasticpool
