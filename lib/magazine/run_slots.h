// The buddy blocks that a thread has at hand: for each length of run the last that was freed.
//
// Pure:      steps and counts; no lock, no look at a block.
// What for   a buffer of some hundred KiB that is freed and asked for again, in a loop, comes from
//            here without a lock and without a search.
// Threads    the owner. Others may peek() through held(), held_granules() and served().
// Bound      kHeldGranulesMax of all lengths together: the last that was freed fits in any case,
//            when the others go for it.
// Cost       a load and some stores.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/owner_cell.h"
#include "base/units.h"

namespace elasticpool {

class RunSlots {
 public:
  static constexpr size_t kLengths = kBuddyBytesMax / kGranuleBytes;
  static constexpr size_t kHeldGranulesMax = kLengths;

  // The run of 1 to kLengths granules that was put last; 0: none is here.
  uintptr_t take(size_t granules) {
    OwnerCell<uintptr_t>& slot = steps_[granules - 1];
    const uintptr_t step = slot.get();
    if (step == 0) return 0;
    slot.set(0);
    held_granules_.add(-static_cast<ptrdiff_t>(granules));
    served_.add(1);
    return step;
  }

  bool holds(size_t granules) const { return steps_[granules - 1].get() != 0; }
  bool has_room(size_t granules) const {
    return held_granules_.get() + granules <= kHeldGranulesMax;
  }
  // Of that length it holds none, and has room.
  void put(size_t granules, uintptr_t step) {
    EP_ASSERT(granules - 1 < kLengths && !holds(granules) && has_room(granules));
    steps_[granules - 1].set(step);
    held_granules_.add(static_cast<ptrdiff_t>(granules));
  }
  // In place of the one that it holds, which is the caller's then.
  uintptr_t replace(size_t granules, uintptr_t step) {
    const uintptr_t old = steps_[granules - 1].get();
    steps_[granules - 1].set(step);
    return old;
  }

  // Out of here for good, one after the other; 0: none is left. Looks at each slot, and sets the
  // sum right: a signal handler that came between the two stores of take() has left it off.
  uintptr_t take_any() {
    for (size_t granules = 1; granules <= kLengths; ++granules) {
      const uintptr_t step = take(granules);
      if (step == 0) continue;
      served_.add(-1);
      return step;
    }
    held_granules_.set(0);
    return 0;
  }

  // Any thread; as exact as peek() is.
  size_t held() const {
    size_t runs = 0;
    for (const OwnerCell<uintptr_t>& slot : steps_) runs += slot.peek() != 0;
    return runs;
  }
  size_t held_granules() const { return held_granules_.peek(); }
  uint64_t served() const { return served_.peek(); }

 private:
  OwnerCell<uintptr_t> steps_[kLengths];
  OwnerCell<size_t> held_granules_;
  OwnerCell<uint64_t> served_;
};

}  // namespace elasticpool
