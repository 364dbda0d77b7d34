// The records of extents and free ranges, named by number.
//
// Threads    new_range(), drop_range(): under the owner's lock. extent(): any thread, for a number
//            that it found in the extent map; usable_bytes is all that it may look at without lock.
// Invariant  a record is never unmapped and never moves; number 0 is nobody's. A record that holds
//            a free range has no room.
// Cost       constant; 64 KiB of records are mapped at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include "base/units.h"
#include "large/range_tree.h"
#include "os/meta_arena.h"

namespace elasticpool {

struct alignas(kCacheLineBytes) Extent {
  Range range;
  // Addresses behind a live extent that are kept for its growth: a hole that is in no index.
  RangeId room = kNoRange;
  std::atomic<size_t> usable_bytes{0};
};
static_assert(sizeof(Extent) == kCacheLineBytes);

class ExtentRecords {
 public:
  Extent& extent(RangeId id) const { return chunks_[id / kChunkRecords][id % kChunkRecords]; }
  Range& range(RangeId id) const { return extent(id).range; }
  // Numbers from 1 to this have been in use.
  RangeId last() const { return last_; }

  // kNoRange: the system refuses.
  RangeId new_range() {
    if (free_ != kNoRange) {
      const RangeId id = free_;
      free_ = range(id).by_address.left;
      range(id) = {};
      return id;
    }
    const RangeId id = last_ + 1;
    const size_t chunk = id / kChunkRecords;
    if (chunk == kChunks) return kNoRange;
    if (chunks_[chunk] == nullptr) {
      chunks_[chunk] = static_cast<Extent*>(meta_allocate(kChunkRecords * sizeof(Extent)));
      if (chunks_[chunk] == nullptr) return kNoRange;
    }
    new (&extent(id)) Extent;
    last_ = id;
    return id;
  }

  void drop_range(RangeId id) {
    range(id) = {};
    range(id).by_address.left = free_;
    free_ = id;
  }

 private:
  static constexpr size_t kChunkRecords = 1024;
  // Four million: more extents above 1 MiB than the largest zone has room for.
  static constexpr size_t kChunks = 4096;

  Extent* chunks_[kChunks] = {};
  RangeId free_ = kNoRange;
  RangeId last_ = 0;
};

}  // namespace elasticpool
