// A frame's 32 granules as one word: bit i is set while granule i is free.
//
// Pure: bit arithmetic over one word; tested exhaustively by runs and against a naive model.
//
// Buddy system (Knowlton, 1965) without lists: a block of 2^k granules starts at a multiple of 2^k,
// so coalescing needs no work at all: two free buddies are two neighbouring runs of set bits.
// A request for n granules takes the first n of its block; the tail stays free.
#pragma once

#include <bit>
#include <cstdint>

#include "base/units.h"

namespace elasticpool {

using FrameBits = uint32_t;
inline constexpr FrameBits kAllFree = ~FrameBits{0};
inline constexpr unsigned kOrders = 6;  // 1, 2, 4 .. 32 granules
inline constexpr int kNoOrder = -1;
static_assert(kGranulesPerFrame == 32);

// One bit where an aligned block of 2^order may start.
constexpr FrameBits aligned_starts(unsigned order) {
  constexpr FrameBits kStarts[kOrders] = {0xFFFFFFFF, 0x55555555, 0x11111111,
                                          0x01010101, 0x00010001, 0x00000001};
  return kStarts[order];
}

// Starts of all free aligned blocks of 2^order.
constexpr FrameBits free_blocks(FrameBits free, unsigned order) {
  for (unsigned i = 0; i < order; ++i) free &= free >> (1U << i);
  return free & aligned_starts(order);
}

// The order of the largest free block; kNoOrder where nothing is free.
constexpr int largest_free_order(FrameBits free) {
  int order = kNoOrder;
  for (unsigned i = 0; i < kOrders; ++i) {
    if (free_blocks(free, i) == 0) break;
    order = static_cast<int>(i);
  }
  return order;
}

constexpr FrameBits run_bits(unsigned first, unsigned count) {
  return (count >= 32 ? kAllFree : (FrameBits{1} << count) - 1) << first;
}

// Where a block of 2^order is taken: the lowest start among the blocks that lie in the smallest
// free block around them, so that larger ones stay whole. A free block of that order must exist.
constexpr unsigned choose_block(FrameBits free, unsigned order) {
  FrameBits starts = free_blocks(free, order);
  for (unsigned above = order + 1; above < kOrders; ++above) {
    const FrameBits larger = free_blocks(free, above);
    FrameBits inside = larger;
    for (unsigned i = order; i < above; ++i) inside |= inside << (1U << i);
    const FrameBits outside = starts & ~inside;
    if (outside != 0) return static_cast<unsigned>(std::countr_zero(outside));
  }
  return static_cast<unsigned>(std::countr_zero(starts));
}

}  // namespace elasticpool
