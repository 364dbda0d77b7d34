// See snapshot.h.
#include "heap/snapshot.h"

#include "buddy/buddy.h"
#include "heap/foreign.h"
#include "large/extents.h"
#include "os/meta_arena.h"
#include "os/numa.h"
#include "pagemap/zone.h"

namespace elasticpool {
namespace {

void take_classes(HeapSnapshot* out) {
  for (size_t index = 0; index < kClasses; ++index) {
    const ClassId id{static_cast<uint8_t>(index)};
    const SizeClass& c = kSizeClasses[index];
    const SlabStats slabs = slab_stats(id);
    const MagazineStats magazines = magazine_stats(id);
    ClassSnapshot& row = out->classes[index];
    row.requests = magazines.requests;
    row.missed = magazines.missed;
    row.refills = magazines.refills;
    row.flushes = magazines.flushes;
    // While others run the two readings may not fit together.
    row.cached_blocks =
        magazines.cached_blocks < slabs.blocks_out ? magazines.cached_blocks : slabs.blocks_out;
    row.live_blocks = slabs.blocks_out - row.cached_blocks;
    row.slabs = slabs.slabs;
    row.slabs_peak = slabs.slabs_peak;
    row.slabs_created = slabs.created;
    out->cached_blocks += row.cached_blocks;
    out->cached_bytes += row.cached_blocks * c.block_bytes;
    out->magazine_requests += row.requests;
    out->magazine_missed += row.missed;
    out->slab.returned_bytes += slabs.returned_bytes;
    out->slab.live_blocks += row.live_blocks;
    out->slab.live_bytes += row.live_blocks * c.block_bytes;
    out->slab.mapped_bytes += row.slabs * c.slab_granules * kGranuleBytes;
  }
  out->slab.requests = out->magazine_requests;
}

void take_frames(HeapSnapshot* out) {
  for (const ZoneKind kind : {ZoneKind::kSmall, ZoneKind::kMedium}) {
    const BuddyStats stats = buddy_stats(kind);
    out->frames += stats.frames;
    out->frames_free_resident_bytes += stats.free_dirty_granules * kGranuleBytes;
    out->frames_returned_bytes += stats.returned_bytes;
    out->buddy.requests += stats.requests;
    out->buddy.live_blocks += stats.live_blocks;
    out->buddy.live_bytes += stats.live_bytes;
  }
  out->buddy.mapped_bytes = out->buddy.live_bytes;
  out->buddy.free_resident_bytes = out->frames_free_resident_bytes;
  out->buddy.returned_bytes = out->frames_returned_bytes;
}

void take_large(HeapSnapshot* out) {
  const LargeStats stats = large_stats();
  out->large.requests = stats.requests;
  out->large.live_blocks = stats.live_extents;
  out->large.live_bytes = stats.live_bytes;
  out->large.free_resident_bytes = stats.free_resident_bytes;
  out->large.mapped_bytes = stats.mapped_bytes;
  out->large.returned_bytes = stats.returned_bytes;
  out->large_reused = stats.reused;
  out->large_remaps = stats.remaps;
  out->large_copies = stats.copies;
}

}  // namespace

void take_snapshot(HeapSnapshot* snapshot) {
  *snapshot = {};
  take_classes(snapshot);
  take_frames(snapshot);
  take_large(snapshot);
  snapshot->own_bytes = meta_mapped_bytes() + zone_tables_bytes();
  snapshot->threads = live_caches();
  snapshot->numa_nodes = numa_nodes();
  snapshot->foreign_frees = foreign_frees();
}

}  // namespace elasticpool
