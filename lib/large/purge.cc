// Giving back: pages that nobody wants, and everything when the system refuses. See large_heap.h.
#include "large/large_heap.h"

#include <algorithm>

#include "base/bits.h"
#include "base/check.h"
#include "os/vm.h"

namespace elasticpool {

// The pages of a range in hand go back; what has become of it. Lets `lock` go.
RangeState LargeHeap::drop_pages(RangeId id) {
  const uintptr_t start = address_at(range(id).start);
  const uint32_t granules = range(id).granules;
  lock.unlock();
  const bool decommitted = decommit_pages(start, bytes_of(granules));
  // After a failure nobody knows what is mapped there, until nothing is.
  const bool unmapped = !decommitted && vm().unmap(start, bytes_of(granules));
  lock.lock();
  if (unmapped) mapped_granules_ -= granules;
  return decommitted ? RangeState::kClean : unmapped ? RangeState::kHole : RangeState::kResident;
}

size_t LargeHeap::trim(uint64_t keep_granules, uint64_t most_bytes) {
  size_t returned_bytes = 0;
  // Others may free more meanwhile, which nobody has said should go.
  while (index_.granules(RangeState::kResident) > keep_granules && returned_bytes < most_bytes) {
    const uint64_t excess = index_.granules(RangeState::kResident) - keep_granules;
    const RangeId id = index_.largest(RangeState::kResident);
    const uint32_t end = range(id).end();
    uint32_t from = range(id).start;
    if (excess < range(id).granules) {
      const auto cut = static_cast<uint32_t>(round_down(end - excess, kGranulesPerFrame));
      from = std::max(from, cut);
    }
    if (!index_.take(id, from, end - from)) break;
    range(id).state = drop_pages(id);
    const bool stays = range(id).state == RangeState::kResident;
    index_.insert(id);
    if (stays) break;
    returned_bytes += bytes_of(end - from);
  }
  counters.returned_bytes += returned_bytes;
  return returned_bytes;
}

void LargeHeap::trim_surplus(uint64_t freed_bytes) {
  const uint64_t free_granules = index_.granules(RangeState::kResident);
  const uint64_t going_bytes =
      surplus.note_freed(freed_bytes, bytes_of(free_granules), counters.live_bytes,
                         retain_bytes_.load(std::memory_order_relaxed));
  if (going_bytes == 0) return;
  // Whoever holds it takes pages back already.
  if (!trim_lock.try_lock()) return surplus.note_stayed(going_bytes);
  surplus.note_returned(trim(free_granules - going_bytes / kGranuleBytes, going_bytes));
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

void LargeHeap::give_all_back() {
  // Waits for whoever has free ranges in its hands.
  lock.unlock();
  trim_lock.lock();
  lock.lock();
  unmap_all(RangeState::kResident);
  unmap_all(RangeState::kClean);
  for (RangeId id = 1; id <= records_.last(); ++id) free_room(id);
  trim_lock.unlock();
}

}  // namespace elasticpool
