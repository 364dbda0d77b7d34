// A slab: a run of equal blocks, and its record outside of them.
//
// What it is   a header and a bitmap in the side table of the slab's first granule, or of the
//              quarter that it is. Bit set: the block is in the slab. Clear: it is out, in a
//              magazine or with the program.
// Threads      the home's lock guards everything but `home` itself, which may be read without it:
//              read it, lock it, read it again (percpu/cpu_cache.cc). The record of a quarter that
//              is no slab, and whether it is one, belongs to its pool's lock (quarters.h).
// Invariants   free_count = set bits; free_count <= blocks; no set bit below word `hint`.
// Cost         take: one bit operation a block. put: one multiplication, one bit.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/annotations.h"
#include "base/check.h"
#include "base/die.h"
#include "base/list.h"
#include "base/units.h"
#include "buddy/buddy.h"
#include "pagemap/zone.h"
#include "slab/block_codes.h"
#include "slab/size_classes.h"

namespace elasticpool {

// Whoever owns a slab at the moment: a CPU, or a node's bin of partial and full slabs. Defined in
// percpu/.
struct SlabHome;

// What has become of the pages of a slab's free blocks.
enum class SlabPages : uint8_t {
  kChanged,  // a block was taken or put since anybody looked
  kSettled,  // none was since a look at it
  kPurged,   // none was since they went back
};

struct Slab {
  Link<Slab> link;
  std::atomic<SlabHome*> home{nullptr};
  uintptr_t start = 0;
  uint32_t free_count = 0;
  uint16_t blocks = 0;
  bool is_free_quarter = false;  // and no slab at all (quarters.h)
  uint8_t hint = 0;              // first word of the bitmap that may have a bit
  uint8_t last_cache = 0;        // number of the CPU cache that it was last current in
  uint16_t purged_pages = 0;     // that base/held_memory.h does not count
  ClassId class_id{};
  NodeId node{};
  uint8_t bucket = 0;  // which list of its bin it is on, or of the free quarters
  SlabPages pages = SlabPages::kChanged;
  // Here, or in a record of its own where the blocks are too many.
  uint64_t* free_bits = nullptr;
  uint64_t own_bits[];

  uint32_t words() const { return (blocks + 63) / 64; }
};

inline constexpr size_t kSlabHeaderBytes = offsetof(Slab, own_bits);
// The header and the bitmap of a slab of up to 64 blocks are one line.
static_assert(kSlabHeaderBytes + sizeof(uint64_t) <= kCacheLineBytes);
static_assert(kSlabGranulesMax * kGranuleBytes / kMinAlignBytes <= UINT16_MAX + 1, "blocks");
static_assert(kSizeClasses[0].blocks_per_slab / 64 <= UINT8_MAX, "hint is one byte");

// By zone of blocks: room for the bits of the most blocks that a slab of the zone has, but in the
// tiny zone of 512, that is of all classes but the smallest. Records of whole frames lie side by
// side, so an unused part of each would cost pages.
constexpr size_t record_bytes_for(size_t blocks) {
  return round_up(kSlabHeaderBytes + divide_up(blocks, 64) * 8, kCacheLineBytes);
}
inline constexpr size_t kSlabRecordBytes[kBlockZones] = {
    record_bytes_for(kQuarterBytes / (2 * kMinAlignBytes)),
    record_bytes_for(kQuarterBytes / kTinyBytesMax),
    record_bytes_for(kSlabGranulesMax* kGranuleBytes / kSmallBytesMax)};

inline Zone& zone_of(ClassId id) {
  Zone* const zones[kBlockZones] = {&g_tiny_zone, &g_small_zone, &g_medium_zone};
  return *zones[index_of(zone_kind_of(id))];
}

// Whether slabs of the class are quarters of granules.
constexpr bool is_quarter(ClassId id) { return size_class(id).slab_bytes == kQuarterBytes; }
// Whether slabs of the zone may be quarters of granules, so that each quarter has a record.
constexpr bool has_quarters(ZoneKind kind) { return kind != ZoneKind::kMedium; }
// In Frame::free_quarters: the granule is one slab, with the record of its first quarter.
inline constexpr uint8_t kWhole = UINT8_MAX;

constexpr size_t side_bytes_for(ZoneKind kind) {
  const size_t records = has_quarters(kind) ? kFrameBytes / kQuarterBytes : kGranulesPerFrame;
  return kFrameRecordBytes + records * kSlabRecordBytes[index_of(kind)];
}
// What the slab and buddy layers need beside each frame; for plan_zones().
inline constexpr ZoneSides kZoneSides = {{side_bytes_for(ZoneKind::kTiny),
                                          side_bytes_for(ZoneKind::kSmall),
                                          side_bytes_for(ZoneKind::kMedium)}};

// Bytes of a bitmap that does not fit into the record; 0 where it does.
constexpr size_t outer_bits_bytes(ClassId id) {
  const size_t bytes = divide_up(size_class(id).blocks_per_slab, 64) * 8;
  const size_t room_bytes = kSlabRecordBytes[index_of(zone_kind_of(id))] - kSlabHeaderBytes;
  return bytes <= room_bytes ? 0 : bytes;
}

// The slab that holds p, or the free quarter; p lies in a slab of the zone or in a quarter.
inline Slab* slab_of(const Zone& zone, const void* p) {
  auto* frame = static_cast<Frame*>(zone.side_of(zone.frame_of(p)));
  const size_t offset = (address_of(p) - zone.base) % kFrameBytes;
  const size_t granule = offset / kGranuleBytes;
  size_t index = frame->first[granule];
  if (has_quarters(zone.kind)) {
    const bool is_cut = frame->free_quarters[granule].load(std::memory_order_relaxed) != kWhole;
    index = (is_cut ? offset : granule * kGranuleBytes) / kQuarterBytes;
  }
  return reinterpret_cast<Slab*>(reinterpret_cast<char*>(frame) + kFrameRecordBytes +
                                 index * kSlabRecordBytes[index_of(zone.kind)]);
}

// Where the pages end that go of a run of free blocks up to block `end_index`: whole ones. On the
// page where the last block ends is nothing else of the slab; of one larger than the slab others
// have the rest.
constexpr uintptr_t free_pages_end(const SizeClass& c, uintptr_t start, size_t end_index,
                                   size_t page) {
  uintptr_t end = start + end_index * c.block_bytes;
  if (end_index == c.blocks_per_slab) end = std::min(round_up(end, page), start + c.slab_bytes);
  return round_down(end, page);
}

// A new slab with every block in it; nullptr when the system refuses.
Slab* slab_create(ClassId id, NodeId node);
// All blocks are in it, nobody's list holds it.
void slab_destroy(Slab* slab);
// What all slabs of the process take, used or not. Any thread, without a lock.
uint64_t slab_bytes();

// Takes up to `wanted` blocks, lowest addresses first; the number taken.
size_t slab_take(Slab* slab, void** blocks, size_t wanted);

// Sends the pages back on which only free blocks lie; the bytes returned, at most (a page that was
// never touched counts too), 0 while nothing changed since the last time.
size_t slab_purge(Slab* slab);

// The pages that went back count as held again: nobody knows any more which of them stay away.
// Returns their bytes.
size_t count_purged_pages(Slab* slab);

// Puts blocks back, one at least, as long as they are the slab's, the first of which is; how many.
// One that is in the slab already was freed by two threads at the same instant: the block map stops
// every other second free.
inline size_t slab_put(Slab* slab, void* const* blocks, size_t count) {
  EP_ASSERT(count != 0);
  const SizeClass& c = size_class(slab->class_id);
  const uintptr_t start = slab->start;
  const size_t end_offset = size_t{slab->blocks} * c.block_bytes;
  uint64_t* const words = slab->free_bits;
  size_t lowest = slab->hint;
  size_t done = 0;
  size_t offset = address_of(blocks[0]) - start;
  do {
    size_t index = block_index(c, offset);
    const size_t at = index / 64;
    uint64_t word = words[at];
    // Neighbours come in a row: their bits are gathered in a register.
    do {
      const uint64_t bit = uint64_t{1} << (index % 64);
      if (EP_UNLIKELY((word & bit) != 0)) die_double_free(blocks[done]);
      word |= bit;
      if (++done == count) break;
      offset = address_of(blocks[done]) - start;
      if (offset >= end_offset) break;
      index = block_index(c, offset);
    } while (index / 64 == at);
    words[at] = word;
    if (at < lowest) lowest = at;
  } while (done < count && offset < end_offset);
  slab->hint = static_cast<uint8_t>(lowest);
  if (EP_UNLIKELY(slab->purged_pages != 0)) count_purged_pages(slab);
  slab->pages = SlabPages::kChanged;
  slab->free_count += static_cast<uint32_t>(done);
  return done;
}

// Whether a block of the slab starts at p, live or not.
inline bool starts_block(const Slab* slab, const void* p) {
  const size_t offset = address_of(p) - slab->start;
  const size_t index = block_index(size_class(slab->class_id), offset);
  return index < slab->blocks && index * block_bytes_of(slab->class_id) == offset;
}

}  // namespace elasticpool
