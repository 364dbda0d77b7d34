// Growing: in place, into the room behind, or elsewhere by moving pages; and shrinking. See
// large_heap.h.
#include "large/large_heap.h"

#include <algorithm>
#include <cstring>

#include "base/bits.h"
#include "os/vm.h"

namespace elasticpool {

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
    status = map_pages(address_at(own.end()), bytes_of(granules));
  }
  if (status == MapStatus::kMapped) {
    range(id).granules += granules;
    mapped_granules_ += granules;
  }
  return status;
}

bool LargeHeap::grow_into_room(RangeId id, uint32_t granules) {
  const RangeId room = extent(id).room;
  const uint32_t missing = granules - range(id).granules;
  const MapStatus status = map_behind(id, missing);
  if (status == MapStatus::kMapped) {
    range(room).start += missing;
    range(room).granules -= missing;
    if (range(room).granules != 0) return true;
    records_.drop_range(room);
    extent(id).room = kNoRange;
    return true;
  }
  if (status == MapStatus::kTaken) {
    extent(id).room = kNoRange;
    lose(room);
  }
  return false;
}

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
      surplus.note_taken(bytes_of(piece));
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
RangeId LargeHeap::take_room(const ExtentRequest& request, size_t skip_frames) {
  ExtentRequest twice = request;
  twice.granules = static_cast<uint32_t>(round_up(2 * size_t{request.granules}, kGranulesPerFrame));
  RangeId id = take_addresses(twice, skip_frames);
  if (id == kNoRange) return take_addresses(request, skip_frames);
  const RangeId room = records_.new_range();
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
    status = map_pages(new_start, new_bytes);
    *copied = status == MapStatus::kMapped;
    if (*copied) {
      memcpy(reinterpret_cast<void*>(new_start), reinterpret_cast<void*>(old_start), used_bytes);
    }
  }
  lock.lock();
  return status;
}

RangeId LargeHeap::relocate(RangeId id, const ExtentRequest& request) {
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

void LargeHeap::shrink(RangeId id, uint32_t granules) {
  if (granules == range(id).granules) return;
  const RangeId tail = records_.new_range();
  if (tail == kNoRange) return;
  free_room(id);
  range(tail).start = range(id).start + granules;
  range(tail).granules = range(id).granules - granules;
  range(id).granules = granules;
  retire(tail, RangeState::kResident);
}

}  // namespace elasticpool
