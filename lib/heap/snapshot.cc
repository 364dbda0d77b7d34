// See snapshot.h.
#include "heap/snapshot.h"

#include <algorithm>
#include <span>

#include "base/annotations.h"
#include "base/bits.h"
#include "buddy/buddy.h"
#include "heap/foreign.h"
#include "large/extents.h"
#include "os/cpu_count.h"
#include "os/meta_arena.h"
#include "os/numa.h"
#include "os/numa_pages.h"
#include "pagemap/zone.h"
#include "slab/quarters.h"

namespace elasticpool {
namespace {

// One table after the other on the stack, not both at once: hence two functions.
EP_NOINLINE void take_magazines(HeapSnapshot* out) {
  MagazineTable table;
  magazine_stats(&table);
  out->threads = table.caches;
  out->lost_threads = table.lost_caches;
  out->slab_peak = table.slab_peak;
  out->magazine_capacity_bytes = table.capacity_bytes;
  out->magazine_bound_bytes = table.bound_bytes;
  out->held_runs = table.held_runs;
  out->held_run_bytes = table.held_run_bytes;
  out->lost_runs = table.lost_runs;
  out->lost_run_bytes = table.lost_run_bytes;
  out->buddy.requests = table.runs_served;
  for (size_t i = 0; i < kClasses; ++i) {
    const MagazineStats& magazines = table.classes[i];
    ClassSnapshot& row = out->classes[i];
    row.requests = magazines.requests;
    row.missed = std::min(magazines.missed, magazines.requests);
    row.refills = magazines.refills;
    row.flushes = magazines.flushes;
    row.cached_blocks = magazines.cached_blocks;
    row.lost_blocks = magazines.lost_blocks;
  }
}

// What is out, not in a magazine and not lost is with the program.
EP_NOINLINE void take_slabs(HeapSnapshot* out) {
  SlabTable table;
  slab_stats(&table);
  for (size_t i = 0; i < kClasses; ++i) {
    const SlabStats& slabs = table.classes[i];
    ClassSnapshot& row = out->classes[i];
    row.cached_blocks = std::min(row.cached_blocks, slabs.blocks_out);
    row.lost_blocks = std::min(row.lost_blocks, slabs.blocks_out - row.cached_blocks);
    row.live_blocks = slabs.blocks_out - row.cached_blocks - row.lost_blocks;
    row.slabs = slabs.slabs;
    row.slabs_peak = slabs.slabs_peak;
    row.slabs_created = slabs.created;
    out->slab.returned_bytes += slabs.returned_bytes;
  }
}

void add_up_classes(HeapSnapshot* out) {
  for (size_t i = 0; i < kClasses; ++i) {
    const SizeClass& c = kSizeClasses[i];
    const ClassSnapshot& row = out->classes[i];
    out->cached_blocks += row.cached_blocks;
    out->cached_bytes += row.cached_blocks * c.block_bytes;
    out->lost_blocks += row.lost_blocks;
    out->lost_bytes += row.lost_blocks * c.block_bytes;
    out->magazine_requests += row.requests;
    out->magazine_missed += row.missed;
    out->magazine_events += row.events();
    out->slab.live_blocks += row.live_blocks;
    out->slab.live_bytes += row.live_blocks * c.block_bytes;
    out->slab.mapped_bytes += row.slabs * c.slab_bytes;
  }
  out->lost_blocks += out->lost_runs;
  out->lost_bytes += out->lost_run_bytes;
  out->slab.requests = out->magazine_requests;
}

void take_frames(HeapSnapshot* out) {
  for (const ZoneKind kind : {ZoneKind::kTiny, ZoneKind::kSmall, ZoneKind::kMedium}) {
    const BuddyStats stats = buddy_stats(kind);
    out->frames += stats.frames;
    out->huge_frames += stats.huge_frames;
    out->hugetlb_frames += stats.hugetlb_frames;
    out->buddy.free_resident_bytes += stats.free_dirty_granules * kGranuleBytes;
    out->buddy.returned_bytes += stats.returned_bytes;
    out->buddy.requests += stats.requests;
    out->buddy.live_blocks += stats.live_blocks;
    out->buddy.live_bytes += stats.live_bytes;
  }
  // Quarters that no slab has are free memory of the frames to whoever looks from outside.
  const QuarterStats quarters = quarter_stats();
  out->buddy.free_resident_bytes += quarters.resident_bytes;
  out->buddy.returned_bytes += quarters.returned_bytes;
  // What a thread has at hand, the frames take for live.
  out->buddy.live_blocks =
      saturating_subtract(out->buddy.live_blocks, out->held_runs + out->lost_runs);
  out->buddy.live_bytes =
      saturating_subtract(out->buddy.live_bytes, out->held_run_bytes + out->lost_run_bytes);
  out->buddy.mapped_bytes = out->frames * kFrameBytes;
}

void take_large(HeapSnapshot* out) {
  const LargeStats stats = large_stats();
  out->large.requests = stats.requests;
  out->large.live_blocks = stats.live_extents;
  out->large.live_bytes = stats.live_bytes;
  out->large.free_resident_bytes = stats.free_resident_bytes;
  out->large.mapped_bytes = stats.mapped_bytes;
  out->large.returned_bytes = stats.returned_bytes;
  out->large_peak_live_bytes = stats.peak_live_bytes;
  out->large_free_clean_bytes = stats.free_clean_bytes;
  out->large_hole_bytes = stats.hole_bytes;
  out->large_lost_bytes = stats.lost_bytes;
  out->large_reused = stats.reused;
  out->large_remaps = stats.remaps;
  out->large_copies = stats.copies;
}

EP_NOINLINE void take_node_books(NodeId node, NodeSnapshot* out) {
  SlabTable table;
  slab_node_stats(node, &table);
  for (size_t i = 0; i < kClasses; ++i) {
    const SizeClass& c = kSizeClasses[i];
    out->slab_bytes += table.classes[i].slabs * c.slab_bytes;
    out->slab_out_bytes += table.classes[i].blocks_out * c.block_bytes;
  }
  const BuddyStats stats = buddy_node_stats(node);
  out->frames = stats.frames;
  out->buddy_live_bytes = stats.live_bytes;
  out->free_resident_bytes =
      stats.free_dirty_granules * kGranuleBytes + quarter_node_stats(node).resident_bytes;
}

PagesOfRange range_of(const Zone& zone) {
  return {.start = zone.base, .end = zone.frame_address(zone.frames_max), .resident_bytes = {}};
}

}  // namespace

void take_nodes(HeapSnapshot* out) {
  if (out->numa_nodes == 1) return;
  out->nodes_have_books = numa_is_local();
  PagesOfRange ranges[] = {range_of(g_tiny_zone), range_of(g_small_zone), range_of(g_medium_zone),
                           range_of(g_large_zone)};
  out->nodes_have_resident = numa_resident_pages(ranges);
  for (size_t i = 0; i < out->node_rows(); ++i) {
    NodeSnapshot& row = out->nodes[i];
    if (out->nodes_have_books) {
      take_node_books(NodeId{static_cast<uint8_t>(kernel_node_of(i))}, &row);
    }
    for (const PagesOfRange& range : std::span(ranges).first<kBlockZones>()) {
      row.frames_resident_bytes += range.resident_bytes[i];
    }
    row.large_resident_bytes = ranges[kBlockZones].resident_bytes[i];
  }
}

void take_snapshot(HeapSnapshot* snapshot) {
  *snapshot = {};
  take_magazines(snapshot);
  take_slabs(snapshot);
  add_up_classes(snapshot);
  take_frames(snapshot);
  take_large(snapshot);
  snapshot->own_bytes = meta_mapped_bytes() + zone_tables_bytes();
  snapshot->numa_nodes = numa_nodes();
  const size_t cpus = usable_cpus().least();
  snapshot->usable_cpus = cpus == kCpusMax ? 0 : cpus;
  snapshot->cpu_caches = cpu_caches();
  snapshot->foreign_frees = foreign_frees();
}

}  // namespace elasticpool
