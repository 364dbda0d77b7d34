// The interface: what a call does under the lock, step by step. See extents.h; the steps and the
// state behind them are large_heap.h.
#include "large/extents.h"

#include <algorithm>
#include <atomic>

#include "base/bits.h"
#include "base/held_memory.h"
#include "base/lock.h"
#include "base/reclaimer.h"
#include "base/units.h"
#include "large/large_heap.h"
#include "os/vm.h"
#include "pagemap/zone.h"

namespace elasticpool {
namespace {

// An alignment passes addresses over, and the zone's tables for them, 64 MiB a TiB, are never given
// back. Nobody aligns to so much; whoever tries should not pay for it from then on.
constexpr size_t kAlignBytesMax = 256 * kGiB;

// False: no zone could hold it.
bool make_request(size_t bytes, size_t align_bytes, ExtentRequest* request) {
  const size_t zone_bytes = g_large_zone.frames_max * kFrameBytes;
  if (bytes == 0 || bytes > zone_bytes) return false;
  if (align_bytes > std::min(zone_bytes, kAlignBytesMax)) return false;
  request->usable_bytes = round_up(bytes, page_bytes());
  request->granules = static_cast<uint32_t>(divide_up(request->usable_bytes, kGranuleBytes));
  request->align = static_cast<uint32_t>(std::max<size_t>(align_bytes / kGranuleBytes, 1));
  return true;
}

}  // namespace

void large_boot(FitPolicy fit, size_t retain_bytes) {
  LockGuard guard(g_large_heap.lock);
  g_large_heap.configure(fit, retain_bytes);
}

void large_set_retain(size_t retain_bytes) { g_large_heap.set_retain(retain_bytes); }

bool large_can_ever_hold(size_t bytes, size_t align_bytes) {
  ExtentRequest request;
  return make_request(bytes, align_bytes, &request);
}

void* large_allocate(size_t bytes, size_t align_bytes, bool* zeroed) {
  ExtentRequest request;
  if (!make_request(bytes, align_bytes, &request)) return nullptr;
  const uint64_t charged_bytes = is_held_limited() ? request.granules * kGranuleBytes : 0;
  if (!charge_quietly(charged_bytes, Charge::kBlock)) return nullptr;
  void* block = nullptr;
  Obtained obtained{};
  {
    LockGuard guard(g_large_heap.lock);
    obtained = g_large_heap.obtain(request);
    if (obtained.id == kNoRange) {
      g_large_heap.give_all_back();
      obtained = g_large_heap.obtain(request);
    }
    g_large_heap.settle_held(charged_bytes);
    if (obtained.id == kNoRange) return nullptr;
    ++g_large_heap.counters.requests;
    if (obtained.reused) ++g_large_heap.counters.reused;
    block = g_large_heap.publish(obtained.id, request.usable_bytes);
  }
  *zeroed = obtained.zeroed;
  if (!obtained.reused) reclaim_from_others(Reclaimer::kExtents, request.usable_bytes);
  return block;
}

size_t large_usable_bytes(const void* p) {
  const RangeId id = LargeHeap::live_at(p);
  return id == kNoRange ? 0 : LargeHeap::extent(id).usable_bytes.load(std::memory_order_relaxed);
}

bool large_free(void* p) {
  LockGuard guard(g_large_heap.lock);
  const RangeId id = LargeHeap::live_at(p);
  if (id == kNoRange) return false;
  g_large_heap.unpublish(id);
  ++g_large_heap.counters.frees;
  const uint64_t freed_bytes = LargeHeap::range(id).granules * kGranuleBytes;
  g_large_heap.retire(id, RangeState::kResident);
  g_large_heap.trim_surplus(freed_bytes);
  g_large_heap.settle_held(0);
  return true;
}

void* large_reallocate(void* p, size_t bytes) {
  ExtentRequest request;
  if (!make_request(bytes, 1, &request)) return nullptr;
  LockGuard guard(g_large_heap.lock);
  const RangeId id = LargeHeap::live_at(p);
  if (id == kNoRange) return nullptr;
  const size_t old_usable_bytes =
      LargeHeap::extent(id).usable_bytes.load(std::memory_order_relaxed);
  const uint64_t free_bytes = g_large_heap.free_resident_bytes();
  const uint64_t more_bytes =
      saturating_subtract(request.granules, LargeHeap::range(id).granules) * kGranuleBytes;
  const uint64_t charged_bytes = is_held_limited() ? more_bytes : 0;
  if (!charge_quietly(charged_bytes, Charge::kBlock)) return nullptr;
  g_large_heap.unpublish(id);
  RangeId now = id;
  if (request.granules <= LargeHeap::range(id).granules) {
    g_large_heap.shrink(id, request.granules);
  } else if (!g_large_heap.grow_in_place(id, request.granules)) {
    now = g_large_heap.relocate(id, request);
    if (now == kNoRange) {
      g_large_heap.give_all_back();
      now = g_large_heap.grow_in_place(id, request.granules) ? id
                                                             : g_large_heap.relocate(id, request);
    }
  }
  g_large_heap.settle_held(charged_bytes);
  if (now == kNoRange) {
    g_large_heap.publish(id, old_usable_bytes);
    return nullptr;
  }
  void* moved = g_large_heap.publish(now, request.usable_bytes);
  const uint64_t now_free_bytes = g_large_heap.free_resident_bytes();
  if (now_free_bytes > free_bytes) {
    g_large_heap.trim_surplus(now_free_bytes - free_bytes);
    g_large_heap.settle_held(0);
  }
  return moved;
}

size_t large_release(size_t keep_bytes) {
  LockGuard trim_guard(g_large_heap.trim_lock);
  LockGuard guard(g_large_heap.lock);
  const size_t returned_bytes = g_large_heap.trim(keep_bytes / kGranuleBytes);
  g_large_heap.settle_held(0);
  // Whoever asks for all of it does not want any kept.
  if (keep_bytes == 0) {
    g_large_heap.surplus.reset();
  } else {
    g_large_heap.surplus.note_returned(returned_bytes);
  }
  return returned_bytes;
}

size_t large_least_free_bytes() {
  LockGuard guard(g_large_heap.lock);
  return g_large_heap.take_least_free_bytes();
}

void large_unmap_free() {
  LockGuard guard(g_large_heap.lock);
  g_large_heap.give_all_back();
  g_large_heap.settle_held(0);
}

size_t large_reclaim(size_t wanted_bytes) {
  LargeHeap& heap = g_large_heap;
  {
    LockGuard guard(heap.lock);
    wanted_bytes = heap.surplus.note_wanted(wanted_bytes, heap.free_resident_bytes());
    if (wanted_bytes == 0) return 0;
  }
  LockGuard trim_guard(heap.trim_lock);
  LockGuard guard(heap.lock);
  const uint64_t keep_bytes = saturating_subtract(heap.free_resident_bytes(), wanted_bytes);
  const size_t returned_bytes = heap.trim(keep_bytes / kGranuleBytes);
  heap.settle_held(0);
  heap.surplus.note_returned(returned_bytes);
  return returned_bytes;
}

LargeStats large_stats() {
  LockGuard guard(g_large_heap.lock);
  return g_large_heap.snapshot();
}

void large_lock_for_fork() EP_NO_THREAD_SAFETY_ANALYSIS {
  g_large_heap.trim_lock.lock_for_fork();
  g_large_heap.lock.lock_for_fork();
}

void large_unlock_after_fork(bool in_child) EP_NO_THREAD_SAFETY_ANALYSIS {
  for (Lock* held : {&g_large_heap.lock, &g_large_heap.trim_lock}) {
    held->unlock_after_fork(in_child);
  }
}

}  // namespace elasticpool
