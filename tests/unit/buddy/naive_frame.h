// What frame_bits.h says, by looking at every granule. Bit i set: granule i is free.
#pragma once

#include <cstdint>

#include "base/units.h"

namespace elasticpool::test {

inline bool naive_is_free(uint32_t free, unsigned first, unsigned count) {
  if (first + count > kGranulesPerFrame) return false;
  for (unsigned i = first; i < first + count; ++i) {
    if ((free >> i & 1) == 0) return false;
  }
  return true;
}

inline uint32_t naive_free_blocks(uint32_t free, unsigned order) {
  uint32_t starts = 0;
  const unsigned length = 1U << order;
  for (unsigned first = 0; first < kGranulesPerFrame; first += length) {
    if (naive_is_free(free, first, length)) starts |= 1U << first;
  }
  return starts;
}

// The order of the largest free aligned block; -1: none.
inline int naive_largest_order(uint32_t free) {
  int order = -1;
  for (unsigned i = 0; i < 6; ++i) {
    if (naive_free_blocks(free, i) != 0) order = static_cast<int>(i);
  }
  return order;
}

// The lowest start in the smallest free block around it; -1: none.
inline int naive_choice(uint32_t free, unsigned order) {
  int best = -1;
  unsigned best_around = 6;
  const unsigned length = 1U << order;
  for (unsigned first = 0; first < kGranulesPerFrame; first += length) {
    if (!naive_is_free(free, first, length)) continue;
    unsigned around = order;
    while (around < 5) {
      const unsigned larger = 2U << around;
      if (!naive_is_free(free, first / larger * larger, larger)) break;
      ++around;
    }
    if (around < best_around) {
      best = static_cast<int>(first);
      best_around = around;
    }
  }
  return best;
}

}  // namespace elasticpool::test
