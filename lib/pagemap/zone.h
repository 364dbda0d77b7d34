// The address plan: where our memory lies, and what starts at an address.
//
// All memory that malloc hands out lies in one of three zones, each a long range of addresses far
// below the kernel's own mappings. Nothing of a zone is reserved: it grows frame by frame, so that
// the process's address space (RLIMIT_AS, VmPeak) holds what is used and no more.
//
//   zone     holds                                      unit     read as
//   kSmall   slabs of blocks up to 1 KiB                16 B     block map: one byte a unit
//   kMedium  slabs above, buddy blocks up to 1 MiB      128 B    block map: one byte a unit
//   kLarge   extents above 1 MiB                        64 KiB   extent map: a 32-bit number a unit
//
// Block map   cell(p) is the code of the live block that starts at p, kNoBlock where none does:
//             free, never handed out, or the inside of a block. malloc writes it, free clears it:
//             a second free and a free of an interior pointer find kNoBlock, at once and always.
// Who writes  the thread that hands a block out or takes it back; a cell belongs to one block (no
//             block is smaller than a unit), so there are no two writers.
// Readers     any thread, no lock, one load. A thread that holds a pointer to a block sees the
//             limit that was published before the block was handed out.
// Unit        p - base is rotated right by the shift: an address that is no multiple of the unit
//             becomes a huge number and fails the bound, so one compare checks both.
// Side table  each frame has a record of fixed size beside the map, for the owners of the frame
//             (buddy, slab): found by arithmetic, no pointer is followed.
// Lock        growth: one a zone, rank kZone.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/annotations.h"
#include "base/bits.h"
#include "base/lock.h"
#include "base/units.h"

namespace elasticpool {

enum class ZoneKind : uint8_t { kSmall, kMedium, kLarge };

inline constexpr unsigned kSmallShift = 4;
inline constexpr unsigned kMediumShift = 7;
inline constexpr unsigned kLargeShift = 16;
static_assert((size_t{1} << kSmallShift) == kMinAlignBytes);
static_assert((size_t{1} << kLargeShift) == kGranuleBytes);

// A code of the block map. 1.. are size classes (class + 1); the rest are below.
using BlockCode = uint8_t;
inline constexpr BlockCode kNoBlock = 0;
inline constexpr BlockCode kBuddyBlock = 255;
constexpr BlockCode code_of(ClassId id) { return static_cast<BlockCode>(index_of(id) + 1); }
// The inverse, for the code of a class.
constexpr ClassId class_of_code(size_t code) { return ClassId{static_cast<uint8_t>(code - 1)}; }

struct Zone {
  // Read by every free: base, limit, map. Constant but for the limit, which only grows.
  uintptr_t base = 0;
  std::atomic<uintptr_t> limit_units{0};
  uint8_t* map = nullptr;

  unsigned shift = 0;
  size_t map_bytes_per_unit = 1;
  uintptr_t side = 0;
  size_t side_bytes_per_frame = 0;
  size_t frames_max = 0;

  Lock growth_lock{LockRank::kZone};
  size_t tables_ready_frames EP_GUARDED_BY(growth_lock) = 0;
  size_t next_frame EP_GUARDED_BY(growth_lock) = 0;

  template <unsigned kShift>
  EP_ALWAYS_INLINE uintptr_t unit_of(const void* p) const {
    return std::rotr(address_of(p) - base, kShift);
  }
  EP_ALWAYS_INLINE bool holds_unit(uintptr_t unit) const {
    return unit < limit_units.load(std::memory_order_relaxed);
  }
  // Whether p lies in the zone at all, at a unit's start or not.
  bool holds(const void* p) const {
    return (address_of(p) - base) >> shift < limit_units.load(std::memory_order_relaxed);
  }
  size_t frame_of(const void* p) const { return (address_of(p) - base) / kFrameBytes; }
  uintptr_t frame_address(size_t frame) const { return base + frame * kFrameBytes; }
  void* side_of(size_t frame) const {
    return reinterpret_cast<void*>(side + frame * side_bytes_per_frame);
  }
};

extern Zone g_small_zone;
extern Zone g_medium_zone;
extern Zone g_large_zone;

// What the fast path needs of the small zone, once more as variables of their own: each is one
// operand of one instruction. The limit is read plainly for the same reason; it is one aligned word
// that only grows, and a thread that frees a block has seen the limit above it.
struct __attribute__((visibility("hidden"))) SmallZoneView {
  static uintptr_t base;
  static uintptr_t limit_units;
  static uint8_t* map;
  // map - (base >> kSmallShift): indexed by the address, shifted.
  static uint8_t* map_of_address_zero;
};

struct ZoneSides {
  size_t small_bytes_per_frame;
  size_t medium_bytes_per_frame;
};

// Chooses the places. `anchor` is an address that the kernel chose for a mapping: the zones lie
// below a quarter of it. Once, before any other call.
void plan_zones(uintptr_t anchor, const ZoneSides& sides);

enum class GrowStatus : uint8_t { kGrown, kNoMemory };

// `frames` mapped frames in a row, their map cells kNoBlock and their sides zeroed; the index of
// the first. Skips addresses that others have taken. kNoMemory: the system refuses, or the zone is
// full.
GrowStatus grow_zone(Zone& zone, size_t frames, size_t* first_frame);
// Addresses only, nothing mapped in them, tables ready: for extents, whose owner maps by itself.
GrowStatus claim_addresses(Zone& zone, size_t frames, size_t* first_frame);

// The pages of the block map of a frame in which nothing lives go back; its cells stay kNoBlock.
// For whoever has unmapped the frame.
void release_map(const Zone& zone, size_t frame);

// Bytes that the maps and sides of all zones take from the system.
size_t zone_tables_bytes();

void zones_lock_for_fork();
void zones_unlock_after_fork(bool in_child);

}  // namespace elasticpool
