// The dozen instructions that most requests are: malloc and free of a block of a slab.
//
// Who may call  heap/ and preload/, which inline them into malloc, free and the operators.
// Cost          counted by tests/scenario/golden; no lock, no atomic read-modify-write, no call.
// Order         malloc changes the top before it writes the cell: the processor knows late where
//               that is, and the addition to the top, which loads it, waits for stores before it
//               whose addresses are not known yet: where classes come at random a pair took 11 ns,
//               now 9. free writes the slot before the top counts it: so a signal handler that
//               allocates between any two instructions here, or never comes back, gets no block
//               that is another's (tests/dropin/signal_step.c). The slow path has locks and
//               promises nothing.
// Result        of the try_ functions nullptr: nothing was done, the slow path decides.
#pragma once

#include <bit>

#include "base/annotations.h"
#include "heap/block_zones.h"
#include "heap/heap.h"
#include "heap/thread.h"
#include "magazine/magazine_index.h"
#include "magazine/thread_cache.h"
#include "slab/size_classes.h"

namespace elasticpool {

// A block of the zone from its magazine.
template <typename Blocks>
EP_ALWAYS_INLINE void* pop_block(ThreadCache& cache, size_t magazine) {
  const uintptr_t step = cache.slot(cache.top_slot(magazine));
  if (EP_UNLIKELY(step == 0)) return nullptr;
  EP_OPAQUE(magazine);
  const auto code = static_cast<BlockCode>(magazine - first_magazine_of(Blocks::kKind));
  // Before the cell: see Order.
  cache.top[magazine].add(ThreadCache::kPop);
  EP_IN_ORDER();
  mark_live<Blocks::kShape>(cell_at<Blocks::kShape>(step), code);
  void* block = block_at<Blocks::kShape>(step);
  EP_ASSUME(block != nullptr);
  return block;
}

// The block that starts at a step that the zone holds, into its magazine.
template <typename Blocks>
EP_ALWAYS_INLINE bool push_block(uintptr_t step) {
  constexpr size_t kFirst = first_magazine_of(Blocks::kKind);
  uint8_t* cell = &cell_at<Blocks::kShape>(step);
  size_t code = match<Blocks::kShape>(*cell, step);
  ThreadCache& cache = this_cache();
  size_t top = cache.top_slot(kFirst + code);
  EP_OPAQUE(top);
  // No live block there, or no cache: a magazine that always looks full.
  if (EP_UNLIKELY(static_cast<uint16_t>(top) == cache.limit[kFirst + code])) return false;
  EP_OPAQUE(code);
  if constexpr (has_places(Blocks::kShape)) EP_OPAQUE(cell);
  mark_dead<Blocks::kShape>(*cell);
  cache.slot(top + 1) = step;
  // Not before: see Order.
  EP_IN_ORDER();
  cache.top[kFirst + code].add(1);
  return true;
}

EP_ALWAYS_INLINE void* try_allocate(size_t bytes) {
  if (EP_LIKELY(bytes <= kTinyBytesMax)) {
    ThreadCache& cache = this_cache();
    return pop_block<TinyBlocks>(cache, cache.magazine_by_bytes[bytes]);
  }
  if (EP_LIKELY(bytes <= kSmallBytesMax)) {
    ThreadCache& cache = this_cache();
    return pop_block<SmallBlocks>(cache, cache.magazine_by_bytes[bytes]);
  }
  if (EP_UNLIKELY(bytes > kSlabBytesMax)) return nullptr;
  return pop_block<MediumBlocks>(this_cache(), magazine_of_medium_size(bytes));
}

// Frees a block, in line where that is a dozen instructions.
EP_ALWAYS_INLINE void free_block(void* block) {
  static_assert(TinyBlocks::kShape.step_shift == SmallBlocks::kShape.step_shift);
  uintptr_t step = step_of<TinyBlocks::kShape>(block);
  // The slow path turns it back: nobody needs to keep the address.
  EP_OPAQUE(step);
  if (EP_LIKELY(g_tiny_zone.holds_step(step))) {
    if (EP_LIKELY(push_block<TinyBlocks>(step))) return;
  } else if (EP_LIKELY(g_small_zone.holds_step(step))) {
    if (EP_LIKELY(push_block<SmallBlocks>(step))) return;
  } else {
    constexpr unsigned kMore = MediumBlocks::kShape.step_shift - TinyBlocks::kShape.step_shift;
    const uintptr_t medium_step = std::rotr(step, kMore);
    if (EP_LIKELY(g_medium_zone.holds_step(medium_step))) {
      if (EP_LIKELY(push_block<MediumBlocks>(medium_step))) return;
    }
  }
  heap_free_slow(reinterpret_cast<void*>(std::rotl(step, TinyBlocks::kShape.step_shift)));
}

}  // namespace elasticpool
