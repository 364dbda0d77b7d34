// The router: which tier serves a request, and where a block goes back to. See heap.h.
#include <cstring>

#include "base/die.h"
#include "buddy/buddy.h"
#include "heap/boot.h"
#include "heap/fast_path.h"
#include "heap/foreign.h"
#include "heap/heap.h"
#include "large/extents.h"
#include "os/vm.h"
#include "percpu/cpu_cache.h"
#include "slab/slab.h"

namespace elasticpool {
namespace {

constexpr unsigned shift_of(const ClassId id) { return is_small(id) ? kSmallShift : kMediumShift; }

uint8_t& cell_of(const Zone& zone, unsigned shift, const void* block) {
  return zone.map[(address_of(block) - zone.base) >> shift];
}

// The code of the live block of the zone that starts at p, kNoBlock otherwise.
template <unsigned kShift>
BlockCode live_code(const Zone& zone, const void* p) {
  const uintptr_t unit = zone.unit_of<kShift>(p);
  return zone.holds_unit(unit) ? zone.map[unit] : kNoBlock;
}

// What a pointer is, for everything that is no fast path.
struct Place {
  enum Kind : uint8_t { kSlabBlock, kBuddy, kExtent, kDead, kForeign } kind;
  BlockCode code;
};

Place locate(const void* p) {
  if (g_small_zone.holds(p)) {
    const BlockCode code = live_code<kSmallShift>(g_small_zone, p);
    return {code == kNoBlock ? Place::kDead : Place::kSlabBlock, code};
  }
  if (g_medium_zone.holds(p)) {
    const BlockCode code = live_code<kMediumShift>(g_medium_zone, p);
    if (code == kNoBlock) return {Place::kDead, code};
    return {code == kBuddyBlock ? Place::kBuddy : Place::kSlabBlock, code};
  }
  if (g_large_zone.holds(p)) {
    return {large_usable_bytes(p) != 0 ? Place::kExtent : Place::kDead, kNoBlock};
  }
  return {Place::kForeign, kNoBlock};
}

// Only on the way to a message: looks for the extent's start granule by granule.
bool inside_live_extent(const void* p) {
  for (uintptr_t start = round_down(address_of(p), kGranuleBytes); start >= g_large_zone.base;
       start -= kGranuleBytes) {
    const size_t bytes = large_usable_bytes(reinterpret_cast<const void*>(start));
    if (bytes != 0) return address_of(p) - start < bytes;
  }
  return false;
}

// Inside our memory, and no live block starts at p: a block that was one, or its middle?
bool starts_dead_block(const void* p) {
  if (g_large_zone.holds(p)) {
    return address_of(p) % kGranuleBytes == 0 && !inside_live_extent(p);
  }
  const bool small = g_small_zone.holds(p);
  const Zone& zone = small ? g_small_zone : g_medium_zone;
  const auto* frame = static_cast<const Frame*>(zone.side_of(zone.frame_of(p)));
  const size_t granule = (address_of(p) - zone.base) % kFrameBytes / kGranuleBytes;
  // Nothing lives in this granule any more: whoever comes with an address in it freed it before.
  if (!frame->mapped || (frame->free >> granule & 1) != 0) return true;
  const void* start = buddy_run_start(zone, p);
  if (!small && cell_of(zone, kMediumShift, start) == kBuddyBlock) return false;
  return starts_block(slab_of(zone, p), p);
}

[[noreturn]] void die_of_free(const void* p) {
  if (starts_dead_block(p)) die_double_free(p);
  die_interior_free(p);
}

// Returns what other caches hold back, so that one more try makes sense.
void reclaim_for_retry() {
  heap_trim(0);
  large_unmap_free();
}

void* pop_medium(ThreadCache& cache, BlockCode code) {
  void* block = cache.top[code].get()[-1];
  if (block == nullptr) return nullptr;
  cache.top[code].add(-1);
  cache.requests[code].add(1);
  return block;
}

void* refill(ClassId id) {
  ThreadCache* cache = cache_or_birth();
  if (cache != nullptr) return refill_and_pop(*cache, id);
  void* block = take_one(id);
  if (block != nullptr) count_uncached(id);
  return block;
}

// Out of line, so that what it saves and restores is not paid for by who finds a block at hand.
EP_NOINLINE void* allocate_from_class(ClassId id) {
  const BlockCode code = code_of(id);
  void* block = pop_medium(this_cache(), code);
  if (EP_UNLIKELY(block == nullptr)) {
    if (!ensure_booted()) return nullptr;
    block = refill(id);
    if (EP_UNLIKELY(block == nullptr)) {
      reclaim_for_retry();
      block = refill(id);
      if (block == nullptr) return nullptr;
    }
  }
  cell_of(zone_of(id), shift_of(id), block) = code;
  return block;
}

void* allocate_buddy(size_t bytes, size_t align_bytes, bool* zeroed) {
  if (!ensure_booted()) return nullptr;
  void* block = buddy_allocate_block(current_node(), bytes, align_bytes, zeroed);
  if (EP_UNLIKELY(block == nullptr)) {
    reclaim_for_retry();
    block = buddy_allocate_block(current_node(), bytes, align_bytes, zeroed);
    if (block == nullptr) return nullptr;
  }
  cell_of(g_medium_zone, kMediumShift, block) = kBuddyBlock;
  return block;
}

void* allocate_extent(size_t bytes, size_t align_bytes, bool* zeroed) {
  if (bytes > kRequestBytesMax || !ensure_booted()) return nullptr;
  void* block = large_allocate(bytes, align_bytes, zeroed);
  if (EP_LIKELY(block != nullptr)) return block;
  if (!large_can_ever_hold(bytes, align_bytes)) return nullptr;
  reclaim_for_retry();
  return large_allocate(bytes, align_bytes, zeroed);
}

void* allocate_above_slabs(size_t bytes, size_t align_bytes, bool* zeroed) {
  if (bytes == 0) bytes = 1;
  return bytes <= kBuddyBytesMax && align_bytes <= kBuddyBytesMax
             ? allocate_buddy(bytes, align_bytes, zeroed)
             : allocate_extent(bytes, align_bytes, zeroed);
}

// The class whose blocks are aligned to align_bytes and hold `bytes`; false above the slabs.
bool aligned_class(size_t bytes, size_t align_bytes, ClassId* id) {
  if (bytes > kSlabBytesMax || align_bytes > kSlabBytesMax) return false;
  size_t index = index_of(class_of_size(bytes < align_bytes ? align_bytes : bytes));
  while (index < kClasses && kSizeClasses[index].block_bytes % align_bytes != 0) ++index;
  *id = ClassId{static_cast<uint8_t>(index)};
  return index < kClasses;
}

void free_to_class(void* block, BlockCode code, uint8_t& cell) {
  cell = kNoBlock;
  ThreadCache& cache = this_cache();
  void** top = cache.top[code].get();
  if (EP_LIKELY(top != cache.limit[code])) {
    *top = block;
    cache.top[code].add(1);
    return;
  }
  ThreadCache* own = cache_for_free();
  if (own != nullptr) {
    flush_and_push(*own, class_of_code(code), block);
  } else {
    put_one(class_of_code(code), block);
  }
}

// Whether a block of old_bytes should stay where it is when `bytes` are asked of it: it fits, and
// does not waste more than half.
bool fits_well(size_t bytes, size_t old_bytes) {
  return bytes <= old_bytes && (bytes >= old_bytes / 2 || old_bytes <= kMinAlignBytes * 4);
}

bool resize_in_place(const Place& place, void* block, size_t bytes, size_t old_bytes) {
  if (place.kind == Place::kBuddy) {
    // Small remains go to a slab; what outgrows the tier goes to an extent.
    if (bytes <= kSlabBytesMax || bytes > kBuddyBytesMax) return false;
    return buddy_resize_block(block, bytes);
  }
  return fits_well(bytes, old_bytes);
}

void* move_block(void* block, size_t bytes, size_t old_bytes) {
  void* moved = heap_allocate(bytes);
  // Shrinking must not fail: it is the old block that is too large then.
  if (moved == nullptr) return bytes <= old_bytes ? block : nullptr;
  memcpy(moved, block, bytes < old_bytes ? bytes : old_bytes);
  heap_free(block);
  return moved;
}

}  // namespace

void* heap_allocate_slow(size_t bytes) {
  if (EP_LIKELY(bytes <= kSlabBytesMax)) {
    if (bytes > kSmallBytesMax) {
      void* block = try_allocate_medium(bytes);
      if (EP_LIKELY(block != nullptr)) return block;
    }
    return allocate_from_class(class_of_size(bytes));
  }
  bool zeroed = false;
  return allocate_above_slabs(bytes, kMinAlignBytes, &zeroed);
}

void* heap_allocate(size_t bytes) {
  void* block = try_allocate_small(bytes);
  return EP_LIKELY(block != nullptr) ? block : heap_allocate_slow(bytes);
}

void* heap_allocate_zeroed(size_t bytes) {
  if (bytes <= kSlabBytesMax) {
    void* block = heap_allocate(bytes);
    return block == nullptr ? nullptr : memset(block, 0, bytes);
  }
  bool zeroed = false;
  void* block = allocate_above_slabs(bytes, kMinAlignBytes, &zeroed);
  if (block != nullptr && !zeroed) memset(block, 0, bytes);
  return block;
}

void* heap_allocate_aligned(size_t bytes, size_t align_bytes) {
  if (align_bytes <= kMinAlignBytes) return heap_allocate(bytes);
  ClassId id{};
  if (aligned_class(bytes, align_bytes, &id)) return allocate_from_class(id);
  bool zeroed = false;
  return allocate_above_slabs(bytes, align_bytes, &zeroed);
}

void heap_free(void* block) {
  if (EP_UNLIKELY(!try_free_small(block))) heap_free_slow(block);
}

void heap_free_slow(void* block) {
  const uintptr_t unit = g_medium_zone.unit_of<kMediumShift>(block);
  if (EP_LIKELY(g_medium_zone.holds_unit(unit))) {
    uint8_t& cell = g_medium_zone.map[unit];
    const BlockCode code = cell;
    if (EP_UNLIKELY(code == kNoBlock)) die_of_free(block);
    if (code != kBuddyBlock) return free_to_class(block, code, cell);
    cell = kNoBlock;
    return buddy_free_block(block);
  }
  if (block == nullptr) return;
  const Place place = locate(block);
  switch (place.kind) {
    case Place::kSlabBlock:
      return free_to_class(block, place.code, cell_of(g_small_zone, kSmallShift, block));
    case Place::kExtent:
      if (!large_free(block)) die_of_free(block);
      return;
    case Place::kForeign:
      return foreign_free(block);
    default:
      die_of_free(block);
  }
}

size_t heap_usable_bytes(const void* block) {
  // Most often a small block.
  const BlockCode small_code = live_code<kSmallShift>(g_small_zone, block);
  if (EP_LIKELY(small_code != kNoBlock)) return block_bytes_of(class_of_code(small_code));
  if (block == nullptr) return 0;
  const Place place = locate(block);
  switch (place.kind) {
    case Place::kSlabBlock:
      return block_bytes_of(class_of_code(place.code));
    case Place::kBuddy:
      return buddy_run_bytes(g_medium_zone, block);
    case Place::kExtent:
      return large_usable_bytes(block);
    case Place::kForeign:
      return foreign_usable_bytes(block);
    default:
      die_dead_size(block);
  }
}

size_t heap_good_bytes(size_t bytes, size_t align_bytes) {
  ClassId id{};
  if (aligned_class(bytes, align_bytes, &id)) return block_bytes_of(id);
  if (bytes > kRequestBytesMax || align_bytes > kRequestBytesMax / 2) return 0;
  if (bytes <= kBuddyBytesMax && align_bytes <= kBuddyBytesMax) {
    return bytes == 0 ? kGranuleBytes : round_up(bytes, kGranuleBytes);
  }
  return round_up(bytes == 0 ? 1 : bytes, page_bytes());
}

void* heap_reallocate(void* block, size_t bytes) {
  if (block == nullptr) return heap_allocate(bytes);
  // Most often a small block that still fits.
  const BlockCode small_code = live_code<kSmallShift>(g_small_zone, block);
  if (EP_LIKELY(small_code != kNoBlock)) {
    const size_t old_bytes = block_bytes_of(class_of_code(small_code));
    return fits_well(bytes, old_bytes) ? block : move_block(block, bytes, old_bytes);
  }
  const Place place = locate(block);
  if (place.kind == Place::kForeign) return foreign_reallocate(block, bytes);
  if (place.kind == Place::kDead) die_dead_realloc(block);
  const size_t old_bytes = heap_usable_bytes(block);
  if (bytes > kRequestBytesMax) return nullptr;
  if (place.kind == Place::kExtent) {
    if (bytes > kBuddyBytesMax) {
      void* resized = large_reallocate(block, bytes);
      if (resized != nullptr) return resized;
    }
  } else if (resize_in_place(place, block, bytes, old_bytes)) {
    return block;
  }
  return move_block(block, bytes, old_bytes);
}

size_t heap_trim(size_t keep_bytes) {
  if (!ensure_booted()) return 0;
  ThreadCache& cache = this_cache();
  if (&cache != &g_vacant_cache) flush_all(cache);
  const size_t slab_bytes = release_slabs();
  return slab_bytes + buddy_release(keep_bytes) + large_release(keep_bytes);
}

}  // namespace elasticpool
