// See place.h.
#include "heap/place.h"

#include "base/die.h"
#include "buddy/buddy.h"
#include "heap/block_zones.h"
#include "large/extents.h"
#include "slab/slab.h"

namespace elasticpool {
namespace {

template <typename Blocks>
Place place_in_zone(const void* p) {
  const size_t code = live_code<Blocks>(p);
  if (code == kNoBlock) return {Place::kDeadPlace, {}};
  if (!is_class_code(Blocks::kKind, code)) return {Place::kBuddyGranules, {}};
  return {Place::kSlabBlock, class_of_code(Blocks::kKind, code)};
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
  const bool medium = g_medium_zone.holds(p);
  const Zone& zone = medium ? g_medium_zone : (g_small_zone.holds(p) ? g_small_zone : g_tiny_zone);
  const auto* frame = static_cast<const Frame*>(zone.side_of(zone.frame_of(p)));
  const size_t granule = (address_of(p) - zone.base) % kFrameBytes / kGranuleBytes;
  // Nothing lives in this granule any more: whoever comes with an address in it freed it before.
  if (!frame->mapped || (frame->free >> granule & 1) != 0) return true;
  const void* start = buddy_run_start(zone, p);
  if (medium && live_code<MediumBlocks>(start) == kBuddyBlock) return false;
  if (medium && cell_at<kMediumShape>(step_of<kMediumShape>(start)) == kHeldBuddyBlock) return true;
  const Slab* slab = slab_of(zone, p);
  // No more does in a free quarter.
  return slab->is_free_quarter || starts_block(slab, p);
}

}  // namespace

Place locate(const void* p) {
  if (g_tiny_zone.holds(p)) return place_in_zone<TinyBlocks>(p);
  if (g_small_zone.holds(p)) return place_in_zone<SmallBlocks>(p);
  if (g_medium_zone.holds(p)) return place_in_zone<MediumBlocks>(p);
  if (g_large_zone.holds(p)) {
    return {large_usable_bytes(p) != 0 ? Place::kExtent : Place::kDeadPlace, {}};
  }
  return {Place::kForeign, {}};
}

void die_of_free(const void* p) {
  if (starts_dead_block(p)) die_double_free(p);
  die_interior_free(p);
}

}  // namespace elasticpool
