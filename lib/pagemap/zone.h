// The address plan: where our memory lies, and what starts at an address.
//
// All memory that malloc hands out lies in one of four zones, each a long range of addresses far
// below the kernel's own mappings. Nothing of a zone is reserved: it grows frame by frame, so that
// the process's address space (RLIMIT_AS, VmPeak) holds what is used and no more.
//
//   zone     holds                                   step     unit     read as
//   kTiny    slabs of blocks up to 64 B              16 B     16 B     block map: a byte a unit
//   kSmall   slabs of blocks up to 1 KiB             16 B     64 B     block map
//   kMedium  slabs above, buddy blocks up to 1 MiB   128 B    128 B    block map
//   kLarge   extents above 1 MiB                     64 KiB   64 KiB   extent map: 32 bits a unit
//
// Block map   the cell of p (block_cell.h) says whether a live block starts there, and of which
//             class. malloc marks it live, free marks it dead: a second free and a free of an
//             interior pointer find no live block, at once and always.
// Where       the map of a zone of blocks lies at the zone's address shifted right by the unit's
//             shift: the cell of p is at p >> unit_shift, no base is loaded.
// Who writes  the thread that hands a block out or takes it back; a cell belongs to one block (no
//             block is smaller than a unit), so there are no two writers.
// Readers     any thread, no lock, one load. A thread that holds a pointer to a block sees the
//             bound that was published before the block was handed out.
// Side table  each frame has a record of fixed size beside the map, for the owners of the frame
//             (buddy, slab): found by arithmetic, no pointer is followed.
// Lock        growth: one a zone, rank kZone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/annotations.h"
#include "base/bits.h"
#include "base/lock.h"
#include "base/units.h"
#include "os/vm.h"
#include "pagemap/block_cell.h"

namespace elasticpool {

struct Zone {
  // Read by every free: the step of the zone's start, constant, and the steps behind it that are
  // ours, which only grow.
  uintptr_t first_step = 0;
  uintptr_t steps = 0;

  uintptr_t base = 0;
  ZoneKind kind{};
  ZoneShape shape{};
  uintptr_t map = 0;
  size_t map_bytes_per_unit = 1;
  uintptr_t side = 0;
  size_t side_bytes_per_frame = 0;
  size_t frames_max = 0;

  Lock growth_lock{LockRank::kZone};
  size_t tables_ready_frames EP_GUARDED_BY(growth_lock) = 0;
  size_t next_frame EP_GUARDED_BY(growth_lock) = 0;

  // A plain read, so that it is an operand of the comparison: one aligned word that only grows, and
  // whoever has a block has seen the bound above it.
  EP_ALWAYS_INLINE bool holds_step(uintptr_t step) const {
    return step - first_step < (EP_THREAD_SANITIZER ? published_steps() : steps);
  }
  size_t published_steps() const { return __atomic_load_n(&steps, __ATOMIC_RELAXED); }
  // Whether p lies in the zone at all, at a step or not.
  bool holds(const void* p) const {
    return (address_of(p) >> shape.step_shift) - first_step < published_steps();
  }
  size_t frame_of(const void* p) const { return (address_of(p) - base) / kFrameBytes; }
  uintptr_t frame_address(size_t frame) const { return base + frame * kFrameBytes; }
  void* side_of(size_t frame) const {
    return reinterpret_cast<void*>(side + frame * side_bytes_per_frame);
  }
};

extern Zone g_tiny_zone __attribute__((visibility("hidden")));
extern Zone g_small_zone __attribute__((visibility("hidden")));
extern Zone g_medium_zone __attribute__((visibility("hidden")));
extern Zone g_large_zone __attribute__((visibility("hidden")));

template <ZoneShape kShape>
EP_ALWAYS_INLINE uintptr_t step_of(const void* p) {
  return step_of_address<kShape>(address_of(p));
}

template <ZoneShape kShape>
EP_ALWAYS_INLINE void* block_at(uintptr_t step) {
  return reinterpret_cast<void*>(step << kShape.step_shift);
}

// The cell of a step that the zone of blocks holds.
template <ZoneShape kShape>
EP_ALWAYS_INLINE uint8_t& cell_at(uintptr_t step) {
  return *reinterpret_cast<uint8_t*>(step >> (kShape.unit_shift - kShape.step_shift));
}

// Bytes of the side record of a frame, by zone of blocks.
struct ZoneSides {
  size_t bytes_per_frame[kBlockZones];
};

// Chooses the places. `anchor` is an address that the kernel chose for a mapping: the zones lie
// below a quarter of it. Once, before any other call.
void plan_zones(uintptr_t anchor, const ZoneSides& sides);

enum class GrowStatus : uint8_t {
  kGrown,
  kNoMemory,
  kUnaligned,  // the zone ends where no page of that size begins: nothing was tried
};

// `frames` mapped frames in a row, their map cells kNoBlock and their sides zeroed; the index of
// the first. Skips addresses that others have taken. kNoMemory: the system refuses, or the zone is
// full. `pages`: kBase, k2MiB, or k1GiB for as many frames as fill such pages.
GrowStatus grow_zone(Zone& zone, size_t frames, PageSize pages, size_t* first_frame);
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
