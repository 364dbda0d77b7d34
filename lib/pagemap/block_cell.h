// How one byte of a block map says what starts in its unit.
//
// Pure: numbers in, numbers out; tested exhaustively.
//
// Step    the distance at which blocks of a zone may start. An address is named by its step: the
//         address rotated right, so that one that is no multiple of the step becomes a huge number,
//         which no zone holds.
// Unit    what one cell stands for. No block is smaller than a unit, so at most one starts in it.
// Cell    where a unit is one step: the code of the live block that starts there, or kNoBlock.
//         Where it has several (the small zone): the code, above it the place, which is the number
//         of the step in the unit at which the block starts, above it kDead while the block is not
//         live. Code and place are stamped when the slab is made, so that malloc changes one bit.
// Match   a cell and the step at which somebody says that a live block starts: its code, if one
//         does. Else kNoBlock, or a number that is no code of the zone: a wrong place and kDead
//         both lie above all codes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/annotations.h"
#include "base/bits.h"
#include "base/units.h"

namespace elasticpool {

enum class ZoneKind : uint8_t { kTiny, kSmall, kMedium, kLarge };
// Zones of blocks, the first of the above: those with frames, a block map and sides.
inline constexpr size_t kBlockZones = 3;
constexpr size_t index_of(ZoneKind kind) { return static_cast<size_t>(kind); }

struct ZoneShape {
  unsigned step_shift;
  unsigned unit_shift;
};

inline constexpr ZoneShape kTinyShape = {4, 4};
inline constexpr ZoneShape kSmallShape = {4, 6};
inline constexpr ZoneShape kMediumShape = {7, 7};
inline constexpr ZoneShape kLargeShape = {16, 16};
static_assert((size_t{1} << kTinyShape.step_shift) == kMinAlignBytes);
static_assert((size_t{1} << kLargeShape.step_shift) == kGranuleBytes);

// A code names the class of a block among those of its zone, from 1.
using BlockCode = uint8_t;
inline constexpr BlockCode kNoBlock = 0;
// In the medium zone: no block of a slab, but granules.
inline constexpr BlockCode kBuddyBlock = 62;
// One that is free, at hand of a thread.
inline constexpr BlockCode kHeldBuddyBlock = 63;

// Codes of a zone whose units have several steps stay below the place.
inline constexpr unsigned kPlaceShift = 5;
inline constexpr uint8_t kDead = 0x80;
static_assert(((kSmallShape.unit_shift - kSmallShape.step_shift) + kPlaceShift) == 7);

constexpr bool has_places(ZoneShape shape) { return shape.unit_shift != shape.step_shift; }

template <ZoneShape kShape>
EP_ALWAYS_INLINE constexpr uintptr_t step_of_address(uintptr_t address) {
  return std::rotr(address, kShape.step_shift);
}

template <ZoneShape kShape>
EP_ALWAYS_INLINE constexpr uintptr_t place_bits(uintptr_t step) {
  constexpr uintptr_t kMask = (uintptr_t{1} << (kShape.unit_shift - kShape.step_shift)) - 1;
  return (step & kMask) << kPlaceShift;
}

// The cell of a block of a new slab, which is not live yet.
template <ZoneShape kShape>
constexpr uint8_t stamp_for(BlockCode code, uintptr_t step) {
  if constexpr (!has_places(kShape)) return kNoBlock;
  return static_cast<uint8_t>(code | place_bits<kShape>(step) | kDead);
}

template <ZoneShape kShape>
EP_ALWAYS_INLINE constexpr void mark_live(uint8_t& cell, BlockCode code) {
  if constexpr (has_places(kShape)) {
    cell &= static_cast<uint8_t>(~kDead);
  } else {
    cell = code;
  }
}

template <ZoneShape kShape>
EP_ALWAYS_INLINE constexpr void mark_dead(uint8_t& cell) {
  if constexpr (has_places(kShape)) {
    cell |= kDead;
  } else {
    cell = kNoBlock;
  }
}

template <ZoneShape kShape>
EP_ALWAYS_INLINE constexpr size_t match(uint8_t cell, uintptr_t step) {
  return size_t{cell} ^ place_bits<kShape>(step);
}

}  // namespace elasticpool
