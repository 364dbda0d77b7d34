// See extents.h. LargeHeap is the state under the locks; the interface stands at the end.
#include "large/extents.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/bits.h"
#include "base/check.h"
#include "base/lock.h"
#include "base/reclaimer.h"
#include "base/units.h"
#include "large/extent_records.h"
#include "os/vm.h"
#include "pagemap/zone.h"

namespace elasticpool {
namespace {

struct Request {
  uint32_t granules;
  uint32_t align;  // in granules
  size_t usable_bytes;
};

// An alignment passes addresses over, and the zone's tables for them, 64 MiB a TiB, are never given
// back. Nobody aligns to so much; whoever tries should not pay for it from then on.
constexpr size_t kAlignBytesMax = 256 * kGiB;

// False: no zone could hold it.
bool make_request(size_t bytes, size_t align_bytes, Request* request) {
  const size_t zone_bytes = g_large_zone.frames_max * kFrameBytes;
  if (bytes == 0 || bytes > zone_bytes) return false;
  if (align_bytes > std::min(zone_bytes, kAlignBytesMax)) return false;
  request->usable_bytes = round_up(bytes, page_bytes());
  request->granules = static_cast<uint32_t>(divide_up(request->usable_bytes, kGranuleBytes));
  const size_t least = request->granules < kGranulesPerFrame ? 1 : kGranulesPerFrame;
  request->align = static_cast<uint32_t>(std::max(align_bytes / kGranuleBytes, least));
  return true;
}

uintptr_t address_at(uint32_t granule) { return g_large_zone.base + granule * kGranuleBytes; }
size_t bytes_of(uint64_t granules) { return granules * kGranuleBytes; }

std::atomic_ref<uint32_t> cell(uint32_t granule) {
  return std::atomic_ref<uint32_t>(reinterpret_cast<uint32_t*>(g_large_zone.map)[granule]);
}

// The record of the live extent that starts at p.
RangeId live_at(const void* p) {
  const uintptr_t unit = g_large_zone.unit_of<kLargeShift>(p);
  if (!g_large_zone.holds_unit(unit)) return kNoRange;
  // order[extent]: sees the record as publish() left it.
  return cell(static_cast<uint32_t>(unit)).load(std::memory_order_acquire);
}

// Outside LargeHeap: readers need no lock, see extent_records.h.
constinit ExtentRecords g_records;

Extent& extent(RangeId id) { return g_records.extent(id); }
Range& range(RangeId id) { return g_records.range(id); }

// An extent in the caller's hands; kNoRange: refused.
struct Obtained {
  RangeId id;
  bool zeroed;
  bool reused;  // comes from mapped free ranges
};

class LargeHeap {
 public:
  // Held while pages are taken back, during which `lock` is let go: whoever needs what is in that
  // one's hands waits here. Taken before `lock`; behind it only by try_lock().
  Lock trim_lock{LockRank::kLarge};
  Lock lock{LockRank::kLarge};

  void configure(FitPolicy fit, size_t retain_bytes) EP_REQUIRES(lock) {
    fit_ = fit;
    retain_granules_ = retain_bytes / kGranuleBytes;
    index_.set_origin(g_large_zone.base / kGranuleBytes);
  }
  Obtained obtain(const Request& request) EP_REQUIRES(lock);
  bool grow_in_place(RangeId id, uint32_t granules) EP_REQUIRES(lock);
  RangeId relocate(RangeId id, const Request& request) EP_REQUIRES(lock);
  void shrink(RangeId id, uint32_t granules) EP_REQUIRES(lock);
  void retire(RangeId id, RangeState state) EP_REQUIRES(lock);
  void* publish(RangeId id, size_t usable_bytes) EP_REQUIRES(lock);
  void unpublish(RangeId id) EP_REQUIRES(lock);
  size_t trim(uint64_t keep_granules) EP_REQUIRES(trim_lock, lock);
  void trim_to_retain() EP_REQUIRES(lock);
  void give_all_back() EP_REQUIRES(lock);
  LargeStats snapshot() const EP_REQUIRES(lock);

  LargeStats counters EP_GUARDED_BY(lock) = {};

 private:
  RangeId find(RangeState state, const Request& request) const EP_REQUIRES(lock);
  RangeId take(RangeId id, const Request& request) EP_REQUIRES(lock);
  RangeId continue_resident(const Request& request) EP_REQUIRES(lock);
  bool claim(const Request& request, size_t skip_frames) EP_REQUIRES(lock);
  bool reaches(uint32_t from, uint32_t granules) EP_REQUIRES(lock);
  RangeId take_addresses(const Request& request, size_t skip_frames) EP_REQUIRES(lock);
  RangeId map_new(const Request& request) EP_REQUIRES(lock);
  RangeId take_room(const Request& request, size_t skip_frames) EP_REQUIRES(lock);
  MapStatus map_behind(RangeId id, uint32_t granules) EP_REQUIRES(lock);
  bool grow_into_room(RangeId id, uint32_t granules) EP_REQUIRES(lock);
  MapStatus move_pages(RangeId from, RangeId to, bool* copied) EP_REQUIRES(lock);
  void free_room(RangeId id) EP_REQUIRES(lock);
  void lose(RangeId id) EP_REQUIRES(lock);
  void unmap_all(RangeState state) EP_REQUIRES(lock);

  ExtentIndex<ExtentRecords> index_ EP_GUARDED_BY(lock){g_records};
  FitPolicy fit_ EP_GUARDED_BY(lock) = FitPolicy::kBest;
  uint64_t retain_granules_ EP_GUARDED_BY(lock) = 0;
  uint64_t mapped_granules_ EP_GUARDED_BY(lock) = 0;
};

constinit LargeHeap g_heap;

// ── Finding ──────────────────────────────────────────────────────────────────────────────────────

RangeId LargeHeap::find(RangeState state, const Request& request) const {
  return index_.find(state, request.granules, request.align, fit_);
}

// What find() has found, cut to the request. kNoRange: nothing found, or no record for the rest.
RangeId LargeHeap::take(RangeId id, const Request& request) {
  if (id == kNoRange) return kNoRange;
  const auto from = static_cast<uint32_t>(index_.aligned_start(range(id), request.align));
  return index_.take(id, from, request.granules) ? id : kNoRange;
}

// The longest resident range and the free addresses behind it, where that saves half the faults.
RangeId LargeHeap::continue_resident(const Request& request) {
  const RangeId id = index_.largest(RangeState::kResident);
  if (id == kNoRange) return kNoRange;
  const uint64_t from = index_.aligned_start(range(id), request.align);
  const uint32_t end = range(id).end();
  if (from >= end || (end - from) * 2 < request.granules) return kNoRange;
  const auto warm = static_cast<uint32_t>(end - from);
  // It was found before, and there was no record for what would be left of it.
  if (warm >= request.granules) return kNoRange;
  if (!reaches(end, request.granules - warm)) return kNoRange;
  if (!index_.take(id, static_cast<uint32_t>(from), warm)) return kNoRange;
  if (grow_in_place(id, request.granules)) return id;
  retire(id, RangeState::kResident);
  return kNoRange;
}

// From here on a try is worth it before the claim: what the zone's tables take for that is never
// given back.
constexpr size_t kProbeBytesMin = 1 * kGiB;

// Whether the system would map so much at all.
bool probe(size_t bytes) {
  if (bytes < kProbeBytesMin) return true;
  void* mapped = vm().map_anywhere(bytes);
  if (mapped == nullptr) return false;
  vm().unmap(address_of(mapped), bytes);
  return true;
}

// More addresses, at the end of the zone. `skip_frames` of them are passed over for good.
bool LargeHeap::claim(const Request& request, size_t skip_frames) {
  const size_t align_frames = divide_up(request.align, kGranulesPerFrame);
  const size_t frames = divide_up(request.granules, kGranulesPerFrame) + align_frames - 1;
  // Not the frames: what the alignment passes over is never mapped.
  if (!probe(bytes_of(request.granules))) return false;
  const RangeId id = g_records.new_range();
  if (id == kNoRange) return false;
  size_t first = 0;
  if (claim_addresses(g_large_zone, frames + skip_frames, &first) != GrowStatus::kGrown) {
    g_records.drop_range(id);
    return false;
  }
  counters.lost_bytes += skip_frames * kFrameBytes;
  range(id).start = static_cast<uint32_t>((first + skip_frames) * kGranulesPerFrame);
  range(id).granules = static_cast<uint32_t>(frames * kGranulesPerFrame);
  range(id).state = RangeState::kHole;
  index_.insert(id);
  return true;
}

// Whether so much is free from here on, perhaps after a claim: at the end of the zone nobody is in
// the way.
bool LargeHeap::reaches(uint32_t from, uint32_t granules) {
  const uint32_t run = index_.free_run(from, granules);
  if (run == granules) return true;
  if (from + run != g_large_zone.limit_units.load(std::memory_order_relaxed)) return false;
  return claim({.granules = granules - run, .align = 1, .usable_bytes = 0}, 0);
}

RangeId LargeHeap::take_addresses(const Request& request, size_t skip_frames) {
  RangeId id = find(RangeState::kHole, request);
  if (id == kNoRange && claim(request, skip_frames)) id = find(RangeState::kHole, request);
  return take(id, request);
}

// A stranger has mapped something there: these addresses are not touched again.
void LargeHeap::lose(RangeId id) {
  counters.lost_bytes += bytes_of(range(id).granules);
  g_records.drop_range(id);
}

// How far behind a place that was taken to look next: in strides that double, so that a large
// foreign mapping costs tens of refused calls.
size_t next_skip_frames(size_t skip_frames, uint32_t granules) {
  return skip_frames * 2 + divide_up(granules, kGranulesPerFrame);
}

RangeId LargeHeap::map_new(const Request& request) {
  size_t skip_frames = 0;
  for (;;) {
    const RangeId id = take_addresses(request, skip_frames);
    if (id == kNoRange) return kNoRange;
    const uintptr_t start = address_at(range(id).start);
    lock.unlock();
    const MapStatus status = vm().map_at(start, bytes_of(request.granules));
    lock.lock();
    if (status == MapStatus::kMapped) {
      mapped_granules_ += request.granules;
      return id;
    }
    if (status == MapStatus::kNoMemory) {
      index_.insert(id);
      return kNoRange;
    }
    lose(id);
    skip_frames = next_skip_frames(skip_frames, request.granules);
  }
}

Obtained LargeHeap::obtain(const Request& request) {
  RangeId id = take(find(RangeState::kResident, request), request);
  if (id == kNoRange) id = continue_resident(request);
  if (id != kNoRange) {
    ++counters.reused;
    return {.id = id, .zeroed = false, .reused = true};
  }
  id = take(find(RangeState::kClean, request), request);
  if (id != kNoRange) {
    ++counters.reused;
    return {.id = id, .zeroed = true, .reused = true};
  }
  return {.id = map_new(request), .zeroed = true, .reused = false};
}

// ── Growing ──────────────────────────────────────────────────────────────────────────────────────

// Maps the hole right behind an extent that is in no index.
MapStatus LargeHeap::map_behind(RangeId id, uint32_t granules) {
  const Range& own = range(id);
  const uintptr_t start = address_at(own.start);
  MapStatus status =
      vm().remap(start, bytes_of(own.granules), start, bytes_of(own.granules + granules));
  if (status == MapStatus::kMapped) {
    ++counters.remaps;
  } else {
    // The extent is several mappings, or there is no memory, or somebody else is there.
    status = vm().map_at(address_at(own.end()), bytes_of(granules));
  }
  if (status == MapStatus::kMapped) {
    range(id).granules += granules;
    mapped_granules_ += granules;
  }
  return status;
}

void LargeHeap::free_room(RangeId id) {
  if (extent(id).room == kNoRange) return;
  index_.insert(extent(id).room);
  extent(id).room = kNoRange;
}

bool LargeHeap::grow_into_room(RangeId id, uint32_t granules) {
  const RangeId room = extent(id).room;
  const uint32_t missing = granules - range(id).granules;
  const MapStatus status = map_behind(id, missing);
  if (status == MapStatus::kMapped) {
    range(room).start += missing;
    range(room).granules -= missing;
    if (range(room).granules != 0) return true;
    g_records.drop_range(room);
    extent(id).room = kNoRange;
    return true;
  }
  if (status == MapStatus::kTaken) {
    extent(id).room = kNoRange;
    lose(room);
  }
  return false;
}

// An extent that is not published, over what is free behind it. False: it keeps what it has got.
bool LargeHeap::grow_in_place(RangeId id, uint32_t granules) {
  const RangeId room = extent(id).room;
  if (room != kNoRange && range(id).granules + range(room).granules >= granules) {
    return grow_into_room(id, granules);
  }
  free_room(id);
  if (!reaches(range(id).end(), granules - range(id).granules)) return false;
  while (range(id).granules < granules) {
    const RangeId behind = index_.starting_at(range(id).end());
    const uint32_t piece = std::min(granules - range(id).granules, range(behind).granules);
    if (range(behind).state != RangeState::kHole) {
      range(id).granules += piece;
      index_.take_front(behind, piece);
      continue;
    }
    const MapStatus status = map_behind(id, piece);
    if (status != MapStatus::kNoMemory) index_.take_front(behind, piece);
    if (status == MapStatus::kTaken) counters.lost_bytes += bytes_of(piece);
    if (status != MapStatus::kMapped) return false;
  }
  return true;
}

// Addresses for an extent that moves, where they can be had with as many again behind them.
RangeId LargeHeap::take_room(const Request& request, size_t skip_frames) {
  Request twice = request;
  twice.granules = static_cast<uint32_t>(round_up(2 * size_t{request.granules}, kGranulesPerFrame));
  RangeId id = take_addresses(twice, skip_frames);
  if (id == kNoRange) return take_addresses(request, skip_frames);
  const RangeId room = g_records.new_range();
  if (room == kNoRange) {
    index_.insert(id);
    return take_addresses(request, skip_frames);
  }
  range(room).start = range(id).start + request.granules;
  range(room).granules = range(id).granules - request.granules;
  range(room).state = RangeState::kHole;
  range(id).granules = request.granules;
  extent(id).room = room;
  return id;
}

// The contents of one extent into a hole, both in nobody else's hands.
MapStatus LargeHeap::move_pages(RangeId from, RangeId to, bool* copied) {
  const uintptr_t old_start = address_at(range(from).start);
  const uintptr_t new_start = address_at(range(to).start);
  const size_t old_bytes = bytes_of(range(from).granules);
  const size_t new_bytes = bytes_of(range(to).granules);
  const size_t used_bytes = extent(from).usable_bytes.load(std::memory_order_relaxed);
  *copied = false;
  lock.unlock();
  MapStatus status = vm().remap(old_start, old_bytes, new_start, new_bytes);
  if (status == MapStatus::kNoMemory) {
    // Also what the kernel says to an extent of several mappings.
    status = vm().map_at(new_start, new_bytes);
    *copied = status == MapStatus::kMapped;
    if (*copied) {
      memcpy(reinterpret_cast<void*>(new_start), reinterpret_cast<void*>(old_start), used_bytes);
    }
  }
  lock.lock();
  return status;
}

// An extent that is not published, elsewhere and longer; the old one is retired. kNoRange: refused,
// it is as it was.
RangeId LargeHeap::relocate(RangeId id, const Request& request) {
  size_t skip_frames = 0;
  for (;;) {
    const RangeId place = take_room(request, skip_frames);
    if (place == kNoRange) return kNoRange;
    bool copied = false;
    const MapStatus status = move_pages(id, place, &copied);
    if (status == MapStatus::kMapped) {
      ++(copied ? counters.copies : counters.remaps);
      mapped_granules_ += request.granules;
      if (!copied) mapped_granules_ -= range(id).granules;
      retire(id, copied ? RangeState::kResident : RangeState::kHole);
      return place;
    }
    free_room(place);
    if (status == MapStatus::kNoMemory) {
      retire(place, RangeState::kHole);
      return kNoRange;
    }
    lose(place);
    skip_frames = next_skip_frames(skip_frames, request.granules);
  }
}

// An extent that is not published gives its tail back; keeps it where there is no record for it.
void LargeHeap::shrink(RangeId id, uint32_t granules) {
  if (granules == range(id).granules) return;
  const RangeId tail = g_records.new_range();
  if (tail == kNoRange) return;
  free_room(id);
  range(tail).start = range(id).start + granules;
  range(tail).granules = range(id).granules - granules;
  range(id).granules = granules;
  retire(tail, RangeState::kResident);
}

// ── Live and free ────────────────────────────────────────────────────────────────────────────────

// An extent that is not published becomes free.
void LargeHeap::retire(RangeId id, RangeState state) {
  free_room(id);
  range(id).state = state;
  index_.insert(id);
}

void* LargeHeap::publish(RangeId id, size_t usable_bytes) {
  extent(id).usable_bytes.store(usable_bytes, std::memory_order_relaxed);
  ++counters.live_extents;
  counters.live_bytes += usable_bytes;
  counters.peak_live_bytes = std::max(counters.peak_live_bytes, counters.live_bytes);
  // order[extent]: whoever finds the number sees the record, and the chunk it lies in.
  cell(range(id).start).store(id, std::memory_order_release);
  return reinterpret_cast<void*>(address_at(range(id).start));
}

// From here on the extent is in the caller's hands alone: other threads find no block.
void LargeHeap::unpublish(RangeId id) {
  cell(range(id).start).store(kNoRange, std::memory_order_relaxed);
  --counters.live_extents;
  counters.live_bytes -= extent(id).usable_bytes.load(std::memory_order_relaxed);
}

// ── Giving back ──────────────────────────────────────────────────────────────────────────────────

size_t LargeHeap::trim(uint64_t keep_granules) {
  size_t returned_bytes = 0;
  while (index_.granules(RangeState::kResident) > keep_granules) {
    const uint64_t excess = index_.granules(RangeState::kResident) - keep_granules;
    const RangeId id = index_.largest(RangeState::kResident);
    const uint32_t end = range(id).end();
    uint32_t from = range(id).start;
    if (excess < range(id).granules) {
      const auto cut = static_cast<uint32_t>(round_down(end - excess, kGranulesPerFrame));
      from = std::max(from, cut);
    }
    if (!index_.take(id, from, end - from)) break;
    const uintptr_t start = address_at(from);
    const size_t bytes = bytes_of(end - from);
    lock.unlock();
    const bool decommitted = vm().decommit(start, bytes);
    // After a failure nobody knows what is mapped there, until nothing is.
    const bool unmapped = !decommitted && vm().unmap(start, bytes);
    lock.lock();
    if (unmapped) mapped_granules_ -= end - from;
    range(id).state = decommitted ? RangeState::kClean
                      : unmapped  ? RangeState::kHole
                                  : RangeState::kResident;
    index_.insert(id);
    if (!decommitted && !unmapped) break;
    returned_bytes += bytes;
  }
  counters.returned_bytes += returned_bytes;
  return returned_bytes;
}

void LargeHeap::trim_to_retain() {
  if (index_.granules(RangeState::kResident) <= retain_granules_) return;
  // Whoever holds it goes on until the rest, this included, is within the bound.
  if (!trim_lock.try_lock()) return;
  trim(retain_granules_);
  trim_lock.unlock();
}

// The ranges of one state out of the index, unmapped, and in again as what they have become.
void LargeHeap::unmap_all(RangeState state) {
  RangeId chain = kNoRange;
  for (RangeId id = index_.largest(state); id != kNoRange; id = index_.largest(state)) {
    EP_CHECK(index_.take(id, range(id).start, range(id).granules));
    range(id).by_address.left = chain;
    chain = id;
  }
  while (chain != kNoRange) {
    const RangeId id = chain;
    chain = range(id).by_address.left;
    if (vm().unmap(address_at(range(id).start), bytes_of(range(id).granules))) {
      if (state == RangeState::kResident) counters.returned_bytes += bytes_of(range(id).granules);
      mapped_granules_ -= range(id).granules;
      range(id).state = RangeState::kHole;
    }
    index_.insert(id);
  }
}

// The system refuses: all that is kept for later goes, so that the next attempt finds memory,
// address space under RLIMIT_AS, records, and free ranges in one piece.
void LargeHeap::give_all_back() {
  // Waits for whoever has free ranges in its hands.
  lock.unlock();
  trim_lock.lock();
  lock.lock();
  unmap_all(RangeState::kResident);
  unmap_all(RangeState::kClean);
  for (RangeId id = 1; id <= g_records.last(); ++id) free_room(id);
  trim_lock.unlock();
}

LargeStats LargeHeap::snapshot() const {
  LargeStats stats = counters;
  stats.free_resident_bytes = bytes_of(index_.granules(RangeState::kResident));
  stats.free_clean_bytes = bytes_of(index_.granules(RangeState::kClean));
  stats.hole_bytes = bytes_of(index_.granules(RangeState::kHole));
  stats.mapped_bytes = bytes_of(mapped_granules_);
  return stats;
}

}  // namespace

void large_boot(FitPolicy fit, size_t retain_bytes) {
  LockGuard guard(g_heap.lock);
  g_heap.configure(fit, retain_bytes);
  g_heap.trim_to_retain();
}

bool large_can_ever_hold(size_t bytes, size_t align_bytes) {
  Request request;
  return make_request(bytes, align_bytes, &request);
}

void* large_allocate(size_t bytes, size_t align_bytes, bool* zeroed) {
  Request request;
  if (!make_request(bytes, align_bytes, &request)) return nullptr;
  void* block = nullptr;
  Obtained obtained{};
  {
    LockGuard guard(g_heap.lock);
    obtained = g_heap.obtain(request);
    if (obtained.id == kNoRange) {
      g_heap.give_all_back();
      obtained = g_heap.obtain(request);
    }
    if (obtained.id == kNoRange) return nullptr;
    ++g_heap.counters.requests;
    block = g_heap.publish(obtained.id, request.usable_bytes);
  }
  *zeroed = obtained.zeroed;
  if (!obtained.reused) reclaim_from_others(Reclaimer::kExtents, request.usable_bytes);
  return block;
}

size_t large_usable_bytes(const void* p) {
  const RangeId id = live_at(p);
  return id == kNoRange ? 0 : extent(id).usable_bytes.load(std::memory_order_relaxed);
}

bool large_free(void* p) {
  LockGuard guard(g_heap.lock);
  const RangeId id = live_at(p);
  if (id == kNoRange) return false;
  g_heap.unpublish(id);
  ++g_heap.counters.frees;
  g_heap.retire(id, RangeState::kResident);
  g_heap.trim_to_retain();
  return true;
}

void* large_reallocate(void* p, size_t bytes) {
  Request request;
  if (!make_request(bytes, 1, &request)) return nullptr;
  LockGuard guard(g_heap.lock);
  const RangeId id = live_at(p);
  if (id == kNoRange) return nullptr;
  const size_t old_usable_bytes = extent(id).usable_bytes.load(std::memory_order_relaxed);
  g_heap.unpublish(id);
  RangeId now = id;
  if (request.granules <= range(id).granules) {
    g_heap.shrink(id, request.granules);
  } else if (!g_heap.grow_in_place(id, request.granules)) {
    now = g_heap.relocate(id, request);
    if (now == kNoRange) {
      g_heap.give_all_back();
      now = g_heap.grow_in_place(id, request.granules) ? id : g_heap.relocate(id, request);
    }
  }
  if (now == kNoRange) {
    g_heap.publish(id, old_usable_bytes);
    return nullptr;
  }
  void* moved = g_heap.publish(now, request.usable_bytes);
  g_heap.trim_to_retain();
  return moved;
}

size_t large_release(size_t keep_bytes) {
  LockGuard trim_guard(g_heap.trim_lock);
  LockGuard guard(g_heap.lock);
  return g_heap.trim(keep_bytes / kGranuleBytes);
}

void large_unmap_free() {
  LockGuard guard(g_heap.lock);
  g_heap.give_all_back();
}

size_t large_reclaim(size_t wanted_bytes) {
  const uint64_t resident_bytes = large_stats().free_resident_bytes;
  if (resident_bytes == 0) return 0;
  return large_release(resident_bytes > wanted_bytes ? resident_bytes - wanted_bytes : 0);
}

LargeStats large_stats() {
  LockGuard guard(g_heap.lock);
  return g_heap.snapshot();
}

void large_lock_for_fork() EP_NO_THREAD_SAFETY_ANALYSIS {
  g_heap.trim_lock.lock_for_fork();
  g_heap.lock.lock_for_fork();
}

void large_unlock_after_fork(bool in_child) EP_NO_THREAD_SAFETY_ANALYSIS {
  for (Lock* held : {&g_heap.lock, &g_heap.trim_lock}) {
    held->unlock_after_fork(in_child);
  }
}

}  // namespace elasticpool
