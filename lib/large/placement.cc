// Finding: which free range serves a request, and what is mapped where none does. See large_heap.h.
#include "large/large_heap.h"

#include <algorithm>

#include "base/bits.h"
#include "os/huge_pages.h"
#include "os/numa.h"
#include "os/vm.h"
#include "tune/options.h"

namespace elasticpool {
namespace {

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

// Extents are not asked to be huge pages unless MEMPOOL_THP says so: nobody knows which of their
// pages a program will touch.
void advise_pages(uintptr_t start, size_t bytes) {
  const ThpPolicy policy = options().thp;
  if (policy == ThpPolicy::kAuto) return;
  const HostHugePages host = host_huge_pages();
  if (policy == ThpPolicy::kNever && host == HostHugePages::kAlways) {
    vm().advise(start, bytes, PageAdvice::kSmall);
  } else if (policy == ThpPolicy::kAlways && host == HostHugePages::kWhereAdvised) {
    vm().advise(start, bytes, PageAdvice::kHuge);
  }
}

}  // namespace

MapStatus LargeHeap::map_pages(uintptr_t start, size_t bytes) {
  const MapStatus status = vm().map_at(start, bytes);
  if (status != MapStatus::kMapped) return status;
  numa_spread(start, bytes);
  advise_pages(start, bytes);
  return status;
}

// What is mapped anew has no policy and was not advised.
bool LargeHeap::decommit_pages(uintptr_t start, size_t bytes) {
  if (!vm().decommit(start, bytes)) return false;
  numa_spread(start, bytes);
  advise_pages(start, bytes);
  return true;
}

RangeId LargeHeap::find(RangeState state, const ExtentRequest& request) const {
  return index_.find(state, request.granules, request.align, fit_);
}

// What find() has found, cut to the request. kNoRange: nothing found, or no record for the rest.
RangeId LargeHeap::take(RangeId id, const ExtentRequest& request) {
  if (id == kNoRange) return kNoRange;
  const auto from = static_cast<uint32_t>(index_.aligned_start(range(id), request.align));
  return index_.take(id, from, request.granules) ? id : kNoRange;
}

// The last granules of a clean range become those of the range in hand behind it. Without a record
// for what is left of it nothing is done.
void LargeHeap::extend_front(RangeId id, RangeId clean, uint32_t granules) {
  if (!index_.take(clean, range(clean).end() - granules, granules)) return;
  records_.drop_range(clean);
  range(id).start -= granules;
  range(id).granules += granules;
  surplus.note_taken(bytes_of(granules));
}

// The longest resident range with clean addresses in front of it and whatever is free behind it,
// where that saves half the faults.
RangeId LargeHeap::continue_resident(const ExtentRequest& request) {
  const RangeId id = index_.largest(RangeState::kResident);
  if (id == kNoRange) return kNoRange;
  const uint64_t from = index_.aligned_start(range(id), request.align);
  const uint32_t end = range(id).end();
  if (from >= end || (end - from) * 2 < request.granules) return kNoRange;
  const auto warm = static_cast<uint32_t>(end - from);
  // It was found before, and there was no record for what would be left of it.
  if (warm >= request.granules) return kNoRange;
  const uint32_t missing = request.granules - warm;
  const RangeId clean =
      request.align > 1 ? kNoRange : index_.ending_at(RangeState::kClean, range(id).start);
  const uint32_t in_front = clean == kNoRange ? 0 : std::min(missing, range(clean).granules);
  if (!reaches(end, missing - in_front)) return kNoRange;
  if (!index_.take(id, static_cast<uint32_t>(from), warm)) return kNoRange;
  surplus.note_taken(bytes_of(warm));
  const uint64_t clean_granules = index_.granules(RangeState::kClean);
  if (in_front != 0) extend_front(id, clean, in_front);
  if (grow_in_place(id, request.granules)) {
    note_regret(static_cast<uint32_t>(clean_granules - index_.granules(RangeState::kClean)));
    return id;
  }
  retire(id, RangeState::kResident);
  return kNoRange;
}

// More addresses, at the end of the zone. `skip_frames` of them are passed over for good.
bool LargeHeap::claim(const ExtentRequest& request, size_t skip_frames) {
  const size_t align_frames = divide_up(request.align, kGranulesPerFrame);
  const size_t frames = divide_up(request.granules, kGranulesPerFrame) + align_frames - 1;
  // Not the frames: what the alignment passes over is never mapped.
  if (!probe(bytes_of(request.granules))) return false;
  const RangeId id = records_.new_range();
  if (id == kNoRange) return false;
  size_t first = 0;
  if (claim_addresses(g_large_zone, frames + skip_frames, &first) != GrowStatus::kGrown) {
    records_.drop_range(id);
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
  if (from + run != g_large_zone.published_steps()) return false;
  return claim({.granules = granules - run, .align = 1, .usable_bytes = 0}, 0);
}

RangeId LargeHeap::take_addresses(const ExtentRequest& request, size_t skip_frames) {
  RangeId id = find(RangeState::kHole, request);
  if (id == kNoRange && claim(request, skip_frames)) id = find(RangeState::kHole, request);
  return take(id, request);
}

// A stranger has mapped something there: these addresses are not touched again.
void LargeHeap::lose(RangeId id) {
  counters.lost_bytes += bytes_of(range(id).granules);
  records_.drop_range(id);
}

// How far behind a place that was taken to look next: in strides that double, so that a large
// foreign mapping costs tens of refused calls.
size_t LargeHeap::next_skip_frames(size_t skip_frames, uint32_t granules) {
  return skip_frames * 2 + divide_up(granules, kGranulesPerFrame);
}

RangeId LargeHeap::map_new(const ExtentRequest& request) {
  size_t skip_frames = 0;
  for (;;) {
    const RangeId id = take_addresses(request, skip_frames);
    if (id == kNoRange) return kNoRange;
    const uintptr_t start = address_at(range(id).start);
    lock.unlock();
    const MapStatus status = map_pages(start, bytes_of(request.granules));
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

// A resident range in hand, which a thread of another node may have touched: then its pages go back
// and come anew from the node of who asks. That costs what a new mapping costs, and what it saves
// lasts as long as the extent. kNoRange: it could neither be emptied nor kept.
Obtained LargeHeap::bring_near(RangeId id) {
  const uintptr_t start = address_at(range(id).start);
  const size_t bytes = bytes_of(range(id).granules);
  if (!numa_lies_elsewhere(start, bytes)) return {.id = id, .zeroed = false, .reused = true};
  const RangeState state = drop_pages(id);
  if (state == RangeState::kHole) {
    retire(id, state);
    return {.id = kNoRange, .zeroed = false, .reused = false};
  }
  const bool zeroed = state == RangeState::kClean;
  if (zeroed) counters.returned_bytes += bytes;
  return {.id = id, .zeroed = zeroed, .reused = true};
}

// Clean pages of what goes into use had gone back once.
void LargeHeap::note_regret(uint32_t granules) {
  counters.regretted_bytes += bytes_of(granules);
  surplus.note_regret(bytes_of(granules), counters.peak_live_bytes);
}

Obtained LargeHeap::obtain(const ExtentRequest& request) {
  RangeId id = take(find(RangeState::kResident, request), request);
  if (id != kNoRange) {
    surplus.note_taken(bytes_of(request.granules));
  } else {
    id = continue_resident(request);
  }
  least_free_granules_ = std::min(least_free_granules_, index_.granules(RangeState::kResident));
  if (id != kNoRange) {
    const Obtained near = bring_near(id);
    if (near.id != kNoRange) return near;
  }
  id = take(find(RangeState::kClean, request), request);
  if (id != kNoRange) {
    note_regret(request.granules);
    surplus.note_taken(bytes_of(request.granules));
    return {.id = id, .zeroed = true, .reused = true};
  }
  return {.id = map_new(request), .zeroed = true, .reused = false};
}

}  // namespace elasticpool
