// The dozen instructions that most requests are: malloc and free of a block up to 1 KiB.
//
// Who may call  heap/ and preload/, which inline them into malloc, free and the operators.
// Cost          counted by tests/scenario/golden; no lock, no atomic read-modify-write, no call.
// Result        nullptr or false: nothing was done, the slow path decides.
#pragma once

#include <bit>

#include "base/annotations.h"
#include "heap/thread.h"
#include "magazine/thread_cache.h"
#include "pagemap/zone.h"
#include "slab/size_classes.h"

namespace elasticpool {

EP_ALWAYS_INLINE void* try_allocate_small(size_t bytes) {
  if (EP_UNLIKELY(bytes > kSmallBytesMax)) return nullptr;
  const BlockCode code = kCodeByBytes[bytes];
  ThreadCache& cache = this_cache();
  void** top = cache.top[code].get();
  void* block = top[-1];
  if (EP_UNLIKELY(block == nullptr)) return nullptr;
  SmallZoneView::map_of_address_zero[address_of(block) >> kSmallShift] = code;
  cache.top[code].add(-1);
  cache.requests[code].add(1);
  return block;
}

EP_ALWAYS_INLINE bool try_free_small(void* block) {
  const uintptr_t unit = std::rotr(address_of(block) - SmallZoneView::base, kSmallShift);
  if (EP_UNLIKELY(unit >= SmallZoneView::limit_units)) return false;
  uint8_t& cell = SmallZoneView::map[unit];
  const BlockCode code = cell;
  ThreadCache& cache = this_cache();
  void** top = cache.top[code].get();
  // Code 0, no live block, always looks full.
  if (EP_UNLIKELY(top == cache.limit[code])) return false;
  cell = kNoBlock;
  *top = block;
  cache.top[code].add(1);
  return true;
}

// The same for blocks up to 32 KiB, in the medium zone. Larger than a fast path should be inline:
// for heap_allocate_slow() only.
EP_ALWAYS_INLINE void* try_allocate_medium(size_t bytes) {
  const BlockCode code = code_of(class_of_medium_size(bytes));
  ThreadCache& cache = this_cache();
  void* block = cache.top[code].get()[-1];
  if (EP_UNLIKELY(block == nullptr)) return nullptr;
  g_medium_zone.map[(address_of(block) - g_medium_zone.base) >> kMediumShift] = code;
  cache.top[code].add(-1);
  cache.requests[code].add(1);
  return block;
}

}  // namespace elasticpool
