// See zone.h.
#include "pagemap/zone.h"

#include <atomic>
#include <cstring>

#include "os/vm.h"

namespace elasticpool {

constinit Zone g_tiny_zone;
constinit Zone g_small_zone;
constinit Zone g_medium_zone;
constinit Zone g_large_zone;

namespace {

// Tables grow by this many frames: 512 KiB of map in the tiny zone, 64 KiB in the medium.
constexpr size_t kTableStepFrames = 4;
// The large zone's map is 128 bytes a frame; a step of it is a page or more on every kernel.
constexpr size_t kLargeTableStepFrames = 512;
// The plan needs less than 6 units of this share of the addresses below the anchor.
constexpr unsigned kUnitShareLog2 = 6;
constexpr size_t kUnitBytesMax = 1024 * kGiB;
// Where mappings lie low (valgrind: from 64 MiB up), the zones lie above them instead.
constexpr uintptr_t kLowAnchor = 64 * kGiB;
constexpr uintptr_t kAnchorAboveLow = 65536 * kGiB;
// A zone starts at a multiple of it, so that its map starts at a page of any size.
constexpr size_t kBaseAlignBytes = 8 * kMiB;
static_assert(kBaseAlignBytes >> kMediumShape.unit_shift >= 64 * kKiB);

constinit std::atomic<size_t> g_tables_bytes{0};

size_t table_step(const Zone& zone) {
  return zone.kind == ZoneKind::kLarge ? kLargeTableStepFrames : kTableStepFrames;
}

size_t map_bytes(const Zone& zone, size_t frames) {
  return (frames * kFrameBytes >> zone.shape.unit_shift) * zone.map_bytes_per_unit;
}

struct ZonePlan {
  Zone* zone;
  ZoneKind kind;
  ZoneShape shape;
  size_t span_bytes;
  size_t side_bytes_per_frame;
};

// Takes the zone's ranges downwards from `top`; returns where the next may end. The maps of blocks
// are not among them: they lie where the shift puts them, at 1/16 of the zones' addresses at most
// and 1/128 of them at least, so below the zones and apart from each other.
uintptr_t place(const ZonePlan& plan, uintptr_t top) {
  Zone& zone = *plan.zone;
  zone.kind = plan.kind;
  zone.shape = plan.shape;
  zone.side_bytes_per_frame = plan.side_bytes_per_frame;
  zone.frames_max = plan.span_bytes / kFrameBytes;
  zone.base = round_down(top - plan.span_bytes, kBaseAlignBytes);
  zone.first_step = zone.base >> plan.shape.step_shift;
  if (plan.kind == ZoneKind::kLarge) {
    zone.map_bytes_per_unit = sizeof(uint32_t);
    zone.map = round_down(zone.base - map_bytes(zone, zone.frames_max), kFrameBytes);
    return zone.map;
  }
  zone.map = zone.base >> plan.shape.unit_shift;
  zone.side = round_down(zone.base - zone.frames_max * zone.side_bytes_per_frame, kFrameBytes);
  return zone.side;
}

bool map_table(uintptr_t address, size_t from_bytes, size_t to_bytes) {
  const size_t page = page_bytes();
  const uintptr_t from = round_up(address + from_bytes, page);
  const uintptr_t to = round_up(address + to_bytes, page);
  if (from == to) return true;
  if (vm().map_at(from, to - from) != MapStatus::kMapped) return false;
  g_tables_bytes.fetch_add(to - from, std::memory_order_relaxed);
  return true;
}

// Takes back what map_table() mapped for the same range.
void unmap_table(uintptr_t address, size_t from_bytes, size_t to_bytes) {
  const size_t page = page_bytes();
  const uintptr_t from = round_up(address + from_bytes, page);
  const uintptr_t to = round_up(address + to_bytes, page);
  if (from == to || !vm().unmap(from, to - from)) return;
  g_tables_bytes.fetch_sub(to - from, std::memory_order_relaxed);
}

bool prepare_tables(Zone& zone, size_t frames) EP_REQUIRES(zone.growth_lock) {
  const size_t ready = zone.tables_ready_frames;
  if (frames <= ready) return true;
  size_t wanted = round_up(frames, table_step(zone));
  if (wanted > zone.frames_max) wanted = zone.frames_max;
  const size_t map_from = map_bytes(zone, ready);
  const size_t map_to = map_bytes(zone, wanted);
  if (!map_table(zone.map, map_from, map_to)) return false;
  if (!map_table(zone.side, ready * zone.side_bytes_per_frame,
                 wanted * zone.side_bytes_per_frame)) {
    unmap_table(zone.map, map_from, map_to);
    return false;
  }
  zone.tables_ready_frames = wanted;
  return true;
}

// Publishes [0, frames) to readers.
void publish(Zone& zone, size_t frames) EP_REQUIRES(zone.growth_lock) {
  zone.next_frame = frames;
  // Relaxed is enough: a reader holds a pointer that came, through the program's own
  // synchronisation, from a thread that took the block under a lock after this store.
  __atomic_store_n(&zone.steps, frames * kFrameBytes >> zone.shape.step_shift, __ATOMIC_RELAXED);
}

}  // namespace

void plan_zones(uintptr_t anchor, const ZoneSides& sides) {
  if (anchor < kLowAnchor) anchor = kAnchorAboveLow;
  size_t unit = size_t{1} << floor_log2(anchor >> kUnitShareLog2);
  if (unit > kUnitBytesMax) unit = kUnitBytesMax;
  // A quarter of the way up: what others reserve, the kernel places from the anchor downwards, so
  // that they may take three quarters of all addresses and still not meet us.
  uintptr_t top = round_down(anchor / 4, kFrameBytes);
  const size_t* side = sides.bytes_per_frame;
  top = place({&g_tiny_zone, ZoneKind::kTiny, kTinyShape, unit, side[0]}, top);
  top = place({&g_small_zone, ZoneKind::kSmall, kSmallShape, unit, side[1]}, top);
  top = place({&g_medium_zone, ZoneKind::kMedium, kMediumShape, unit, side[2]}, top);
  place({&g_large_zone, ZoneKind::kLarge, kLargeShape, 2 * unit, 0}, top);
}

GrowStatus claim_addresses(Zone& zone, size_t frames, size_t* first_frame) {
  LockGuard guard(zone.growth_lock);
  const size_t first = zone.next_frame;
  if (frames > zone.frames_max - first) return GrowStatus::kNoMemory;
  if (!prepare_tables(zone, first + frames)) return GrowStatus::kNoMemory;
  publish(zone, first + frames);
  *first_frame = first;
  return GrowStatus::kGrown;
}

GrowStatus grow_zone(Zone& zone, size_t frames, PageSize pages, size_t* first_frame) {
  LockGuard guard(zone.growth_lock);
  if (pages == PageSize::k1GiB && zone.frame_address(zone.next_frame) % kGiB != 0) {
    return GrowStatus::kUnaligned;
  }
  // A range that somebody else has mapped is stepped over, in strides that double: a large foreign
  // mapping costs tens of refused calls, not thousands.
  size_t stride = frames;
  for (size_t first = zone.next_frame; first + frames <= zone.frames_max; first += stride) {
    if (!prepare_tables(zone, first + frames)) return GrowStatus::kNoMemory;
    const MapStatus status = map_pages_at(zone.frame_address(first), frames * kFrameBytes, pages);
    if (status == MapStatus::kMapped) {
      publish(zone, first + frames);
      *first_frame = first;
      return GrowStatus::kGrown;
    }
    if (status == MapStatus::kNoMemory) return GrowStatus::kNoMemory;
    if (first != zone.next_frame) stride *= 2;
  }
  return GrowStatus::kNoMemory;
}

void release_map(const Zone& zone, size_t frame) {
  const uintptr_t from = round_up(zone.map + map_bytes(zone, frame), page_bytes());
  const uintptr_t to = round_down(zone.map + map_bytes(zone, frame + 1), page_bytes());
  if (from >= to || vm().decommit(from, to - from)) return;
  memset(reinterpret_cast<void*>(from), 0, to - from);  // a cell may not hold rubbish
}

size_t zone_tables_bytes() { return g_tables_bytes.load(std::memory_order_relaxed); }

void zones_lock_for_fork() EP_NO_THREAD_SAFETY_ANALYSIS {
  g_tiny_zone.growth_lock.lock_for_fork();
  g_small_zone.growth_lock.lock_for_fork();
  g_medium_zone.growth_lock.lock_for_fork();
  g_large_zone.growth_lock.lock_for_fork();
}

void zones_unlock_after_fork(bool in_child) EP_NO_THREAD_SAFETY_ANALYSIS {
  for (Zone* zone : {&g_large_zone, &g_medium_zone, &g_small_zone, &g_tiny_zone}) {
    zone->growth_lock.unlock_after_fork(in_child);
  }
}

}  // namespace elasticpool
