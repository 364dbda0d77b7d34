// The buddy blocks that a thread has at hand: one for each length of run.
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
    steps_[granules - 1].set(step);
    held_granules_.add(static_cast<ptrdiff_t>(granules));
  }

  // Out of here for good, one after the other; 0: none is left.
  uintptr_t take_any() {
    if (held_granules_.get() == 0) return 0;
    for (size_t granules = 1; granules <= kLengths; ++granules) {
      const uintptr_t step = take(granules);
      if (step == 0) continue;
      served_.add(-1);
      return step;
    }
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
