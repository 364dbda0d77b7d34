// The room behind a thread's record, cut into arrays of slots.
//
// Pure: numbers of slots in and out; the only memory it touches are the first slots of arrays that
// are free, which link them.
//
// What it is  a bump of a number, and a stack of free arrays for each power of two.
// Threads     the owner of the record.
// Bound       arrays of a size are made only while none of that size is free, so there are never
//             more of them than were in use at once: room for one array of each size that each
//             class may have is enough, whatever they do (see kCacheBytes).
// Cost        a few instructions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bits.h"
#include "magazine/tuner.h"

namespace elasticpool {

class SlotSpace {
 public:
  constexpr SlotSpace() = default;

  // The number of the first of `slots` (a power of two, kSlotsMin to kSlotsMax); 0 where [first,
  // end) has no more room. `record` is slot 0.
  uint32_t take(uintptr_t* record, uint32_t slots, uint32_t first, uint32_t end) {
    uint32_t& free = free_[order_of(slots)];
    if (free != 0) {
      const uint32_t base = free;
      free = static_cast<uint32_t>(record[base]);
      return base;
    }
    if (end - first - used_ < slots) return 0;
    const uint32_t base = first + used_;
    used_ += slots;
    return base;
  }

  void give(uintptr_t* record, uint32_t base, uint32_t slots) {
    uint32_t& free = free_[order_of(slots)];
    record[base] = free;
    free = base;
  }

 private:
  static constexpr size_t kOrders = floor_log2(kSlotsMax / kSlotsMin) + 1;
  static unsigned order_of(uint32_t slots) { return floor_log2(slots / kSlotsMin); }

  uint32_t used_ = 0;
  uint32_t free_[kOrders] = {};
};

}  // namespace elasticpool
