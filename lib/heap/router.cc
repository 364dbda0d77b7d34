// The router: which tier serves a request, and where a block goes back to. See heap.h.
#include <cstring>

#include "base/die.h"
#include "buddy/buddy.h"
#include "heap/boot.h"
#include "heap/fast_path.h"
#include "heap/foreign.h"
#include "heap/heap.h"
#include "heap/idle_memory.h"
#include "heap/place.h"
#include "heap/relief.h"
#include "heap/runs.h"
#include "large/extents.h"
#include "os/vm.h"
#include "percpu/cpu_cache.h"
#include "slab/slab.h"

namespace elasticpool {
namespace {

// Bytes of the live block that starts at p in the tiny or the small zone, where most blocks are; 0
// where none does.
EP_ALWAYS_INLINE size_t live_small_bytes(const void* p) {
  const size_t tiny = live_code<TinyBlocks>(p);
  if (tiny != kNoBlock) return block_bytes_of(class_of_code(ZoneKind::kTiny, tiny));
  const size_t small = live_code<SmallBlocks>(p);
  return small == kNoBlock ? 0 : block_bytes_of(class_of_code(ZoneKind::kSmall, small));
}

// Returns what other caches hold back, so that one more try makes sense.
void reclaim_for_retry() {
  heap_trim(0);
  large_unmap_free();
}

void* refill(ClassId id, size_t bytes) {
  ThreadCache* cache = cache_or_birth();
  if (cache != nullptr) {
    void* block = refill_and_pop(*cache, id, bytes);
    tend_runs(*cache);
    return block;
  }
  void* block = take_one(id);
  if (block != nullptr) count_uncached(id);
  return block;
}

// A block of the tiny zone, whole, in at most four stores of 16 bytes, which may overlap.
EP_ALWAYS_INLINE void* zero_tiny(void* block, size_t bytes) {
  constexpr size_t kStore = kMinAlignBytes;
  static_assert(kTinyBytesMax == 4 * kStore);
  auto* first = static_cast<char*>(block);
  char* last = first + round_down(bytes - (bytes != 0), kStore);
  memset(first, 0, kStore);
  memset(last, 0, kStore);
  if (last > first + kStore) {
    memset(first + kStore, 0, kStore);
    memset(last - kStore, 0, kStore);
  }
  return block;
}

// Out of line, so that what it saves and restores is not paid for by who finds a block at hand.
EP_NOINLINE void* allocate_from_slabs(ClassId id, size_t bytes) {
  if (!ensure_booted()) return nullptr;
  void* block = refill(id, bytes);
  if (EP_UNLIKELY(block == nullptr)) {
    reclaim_for_retry();
    block = refill(id, bytes);
    if (block == nullptr) return nullptr;
  }
  visit_zone_of(id, [&](auto blocks) {
    constexpr ZoneShape kShape = decltype(blocks)::kShape;
    mark_live<kShape>(cell_at<kShape>(step_of<kShape>(block)), code_of(id));
  });
  look_when_due();
  return block;
}

void* allocate_from_class(ClassId id, size_t bytes) {
  void* block = visit_zone_of(
      id, [id](auto blocks) { return pop_block<decltype(blocks)>(this_cache(), magazine_of(id)); });
  return EP_LIKELY(block != nullptr) ? block : allocate_from_slabs(id, bytes);
}

void* allocate_buddy(size_t bytes, size_t align_bytes, bool* zeroed) {
  if (EP_LIKELY(align_bytes <= kGranuleBytes)) {
    void* run = take_run(divide_up(bytes, kGranuleBytes));
    if (run != nullptr) return run;
  }
  if (!ensure_booted()) return nullptr;
  cache_or_birth();
  void* block = buddy_allocate_block(current_node(), bytes, align_bytes, zeroed);
  if (EP_UNLIKELY(block == nullptr)) {
    reclaim_for_retry();
    block = buddy_allocate_block(current_node(), bytes, align_bytes, zeroed);
    if (block == nullptr) return nullptr;
  }
  cell_at<kMediumShape>(step_of<kMediumShape>(block)) = kBuddyBlock;
  look_when_due();
  return block;
}

void* allocate_extent(size_t bytes, size_t align_bytes, bool* zeroed) {
  if (bytes > kRequestBytesMax || !ensure_booted()) return nullptr;
  void* block = large_allocate(bytes, align_bytes, zeroed);
  if (EP_UNLIKELY(block == nullptr)) {
    if (!large_can_ever_hold(bytes, align_bytes)) return nullptr;
    reclaim_for_retry();
    block = large_allocate(bytes, align_bytes, zeroed);
  }
  look_when_due();
  return block;
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

// What push_block() left: the magazine is full, the thread has none, or no block of a slab starts
// here.
template <typename Blocks>
void free_in_zone(void* block, uintptr_t step) {
  const size_t code = live_code<Blocks>(block);
  if (EP_UNLIKELY(code == kNoBlock)) die_of_free(block);
  mark_dead<Blocks::kShape>(cell_at<Blocks::kShape>(step));
  if (!is_class_code(Blocks::kKind, code)) {
    free_run(block);
    return note_batch();
  }
  const ClassId id = class_of_code(Blocks::kKind, code);
  ThreadCache* own = cache_for_free();
  if (own != nullptr) {
    flush_and_push(*own, id, block);
    tend_runs(*own);
    note_surplus();
    note_batch();
  } else {
    put_one(id, block);
  }
}

// Whether a block of old_bytes should stay where it is when `bytes` are asked of it: it fits, and
// does not waste more than half.
bool fits_well(size_t bytes, size_t old_bytes) {
  return bytes <= old_bytes && (bytes >= old_bytes / 2 || old_bytes <= kMinAlignBytes * 4);
}

bool resize_in_place(const Place& place, void* block, size_t bytes, size_t old_bytes) {
  if (place.kind == Place::kBuddyGranules) {
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

// Out of line, as allocate_from_slabs(). `small_bytes`: of live_small_bytes().
EP_NOINLINE void* reallocate_slow(void* block, size_t bytes, size_t small_bytes) {
  if (small_bytes != 0) return move_block(block, bytes, small_bytes);
  const Place place = locate(block);
  if (place.kind == Place::kForeign) return foreign_reallocate(block, bytes);
  if (place.kind == Place::kDeadPlace) die_dead_realloc(block);
  const size_t old_bytes = heap_usable_bytes(block);
  if (bytes > kRequestBytesMax) return nullptr;
  if (place.kind == Place::kExtent) {
    if (bytes > kBuddyBytesMax) {
      void* resized = large_reallocate(block, bytes);
      look_when_due();
      if (resized != nullptr) return resized;
    }
  } else if (resize_in_place(place, block, bytes, old_bytes)) {
    return block;
  }
  return move_block(block, bytes, old_bytes);
}

}  // namespace

void* heap_allocate_slow(size_t bytes) {
  if (EP_LIKELY(bytes <= kSlabBytesMax)) return allocate_from_slabs(class_of_size(bytes), bytes);
  bool zeroed = false;
  return allocate_above_slabs(bytes, kMinAlignBytes, &zeroed);
}

void* heap_allocate(size_t bytes) {
  void* block = try_allocate(bytes);
  return EP_LIKELY(block != nullptr) ? block : heap_allocate_slow(bytes);
}

void* heap_allocate_zeroed(size_t bytes) {
  if (EP_LIKELY(bytes <= kTinyBytesMax)) {
    void* block = heap_allocate(bytes);
    return EP_LIKELY(block != nullptr) ? zero_tiny(block, bytes) : nullptr;
  }
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
  if (aligned_class(bytes, align_bytes, &id)) return allocate_from_class(id, bytes);
  bool zeroed = false;
  return allocate_above_slabs(bytes, align_bytes, &zeroed);
}

void heap_free(void* block) { free_block(block); }

void heap_free_slow(void* block) {
  if (block == nullptr) return;
  const uintptr_t step = step_of<kSmallShape>(block);
  if (g_tiny_zone.holds_step(step)) return free_in_zone<TinyBlocks>(block, step);
  if (g_small_zone.holds_step(step)) return free_in_zone<SmallBlocks>(block, step);
  const uintptr_t medium_step = step_of<kMediumShape>(block);
  if (g_medium_zone.holds_step(medium_step)) return free_in_zone<MediumBlocks>(block, medium_step);
  switch (locate(block).kind) {
    case Place::kExtent:
      if (!large_free(block)) die_of_free(block);
      note_batch();
      return;
    case Place::kForeign:
      return foreign_free(block);
    default:
      die_of_free(block);
  }
}

size_t heap_usable_bytes(const void* block) {
  const size_t small_bytes = live_small_bytes(block);
  if (EP_LIKELY(small_bytes != 0)) return small_bytes;
  if (block == nullptr) return 0;
  const Place place = locate(block);
  switch (place.kind) {
    case Place::kSlabBlock:
      return block_bytes_of(place.id);
    case Place::kBuddyGranules:
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
  if (EP_UNLIKELY(block == nullptr)) return heap_allocate(bytes);
  const size_t small_bytes = live_small_bytes(block);
  if (EP_LIKELY(small_bytes != 0) && fits_well(bytes, small_bytes)) return block;
  return reallocate_slow(block, bytes, small_bytes);
}

size_t heap_trim(size_t keep_bytes) {
  if (!ensure_booted()) return 0;
  ThreadCache& cache = this_cache();
  if (&cache != &g_vacant_cache) {
    flush_all(cache);
    flush_runs(cache);
  }
  const size_t slab_bytes = release_slabs();
  return slab_bytes + buddy_release(keep_bytes) + large_release(keep_bytes);
}

}  // namespace elasticpool
