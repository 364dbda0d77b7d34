// See quarters.h.
#include "slab/quarters.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/held_memory.h"
#include "base/list.h"
#include "base/lock.h"
#include "buddy/buddy.h"
#include "os/numa.h"
#include "os/vm.h"

namespace elasticpool {
namespace {

constexpr size_t kQuartersPerGranule = kGranuleBytes / kQuarterBytes;

// Those with their pages stand in two lists that take turns: what came since the last look for
// settled ones, and what was there already. Behind them those whose pages went back.
constexpr uint8_t kTurns = 2;
constexpr uint8_t kPurged = kTurns;
constexpr uint8_t kLists = kTurns + 1;

struct QuarterPool {
  Lock lock{LockRank::kQuarter};
  // What was not used yet of the last granule that was cut; equal: nothing.
  uintptr_t uncut_start EP_GUARDED_BY(lock) = 0;
  uintptr_t uncut_end EP_GUARDED_BY(lock) = 0;
  uint8_t recent EP_GUARDED_BY(lock) = 0;  // the list whose turn it is
  List<Slab, &Slab::link> lists[kLists] EP_GUARDED_BY(lock);
  uint64_t counts[kLists] EP_GUARDED_BY(lock) = {};
  uint64_t returned_bytes EP_GUARDED_BY(lock) = 0;

  uint8_t settled() const EP_REQUIRES(lock) { return kTurns - 1 - recent; }
};

constexpr size_t kZonesWithQuarters = 2;
static_assert(has_quarters(ZoneKind{0}) && has_quarters(ZoneKind{1}));

constinit QuarterPool g_pools[kNodesMax][kZonesWithQuarters];

QuarterPool& pool_of(const Zone& zone, NodeId node) {
  return g_pools[index_of(node) % kNodesMax][index_of(zone.kind)];
}

// In the order in which fork takes their locks.
template <typename Visit>
void for_each_pool(Visit visit) {
  for (size_t node = 0; node < node_rows(); ++node) {
    visit(g_tiny_zone, g_pools[node][index_of(ZoneKind::kTiny)]);
    visit(g_small_zone, g_pools[node][index_of(ZoneKind::kSmall)]);
  }
}

Slab* quarter_at(const Zone& zone, uintptr_t start) {
  return slab_of(zone, reinterpret_cast<const void*>(start));
}

// How many quarters of the granule are free. Read without a lock by slab_of(), which asks only
// whether it is cut at all: that stays while the granule is held.
std::atomic<uint8_t>& free_quarters(const Zone& zone, uintptr_t granule) {
  auto* frame =
      static_cast<Frame*>(zone.side_of(zone.frame_of(reinterpret_cast<const void*>(granule))));
  return frame->free_quarters[(granule - zone.base) % kFrameBytes / kGranuleBytes];
}

uintptr_t granule_of(const Slab* quarter) { return round_down(quarter->start, kGranuleBytes); }

void add_free(const Zone& zone, const Slab* quarter, int count) {
  std::atomic<uint8_t>& free = free_quarters(zone, granule_of(quarter));
  free.store(static_cast<uint8_t>(free.load(std::memory_order_relaxed) + count),
             std::memory_order_relaxed);
}

void list(const Zone& zone, QuarterPool& pool, Slab* quarter, uint8_t which)
    EP_REQUIRES(pool.lock) {
  quarter->is_free_quarter = true;
  quarter->bucket = which;
  pool.lists[which].push_front(quarter);
  ++pool.counts[which];
  add_free(zone, quarter, 1);
}

void unlist(const Zone& zone, QuarterPool& pool, Slab* quarter) EP_REQUIRES(pool.lock) {
  pool.lists[quarter->bucket].remove(quarter);
  --pool.counts[quarter->bucket];
  quarter->is_free_quarter = false;
  add_free(zone, quarter, -1);
}

Slab* take_uncut(const Zone& zone, QuarterPool& pool) EP_REQUIRES(pool.lock) {
  Slab* quarter = quarter_at(zone, pool.uncut_start);
  quarter->link = {};
  quarter->start = pool.uncut_start;
  quarter->node = buddy_run_node(zone, reinterpret_cast<const void*>(pool.uncut_start));
  quarter->purged_pages = 0;
  quarter->is_free_quarter = false;
  pool.uncut_start += kQuarterBytes;
  add_free(zone, quarter, -1);
  return quarter;
}

// nullptr: none, or its pages may not come back for the limit (base/held_memory.h).
Slab* take_free(const Zone& zone, QuarterPool& pool) {
  LockGuard guard(pool.lock);
  Slab* quarter = pool.lists[pool.recent].front();
  if (quarter == nullptr && pool.uncut_start != pool.uncut_end) return take_uncut(zone, pool);
  if (quarter == nullptr) quarter = pool.lists[pool.settled()].front();
  if (quarter == nullptr) quarter = pool.lists[kPurged].front();
  if (quarter == nullptr) return nullptr;
  if (!charge(quarter->purged_pages * page_bytes(), Charge::kSlab)) return nullptr;
  quarter->purged_pages = 0;
  unlist(zone, pool, quarter);
  return quarter;
}

void list_uncut(const Zone& zone, QuarterPool& pool) EP_REQUIRES(pool.lock) {
  while (pool.uncut_start != pool.uncut_end) {
    Slab* quarter = take_uncut(zone, pool);
    quarter->pages = SlabPages::kChanged;
    list(zone, pool, quarter, pool.recent);
  }
}

// Another thread may have cut one meanwhile: what is left of that is listed.
Slab* cut_granule(const Zone& zone, QuarterPool& pool, uintptr_t granule) {
  LockGuard guard(pool.lock);
  list_uncut(zone, pool);
  pool.uncut_start = granule;
  pool.uncut_end = granule + kGranuleBytes;
  free_quarters(zone, granule).store(kQuartersPerGranule, std::memory_order_relaxed);
  return take_uncut(zone, pool);
}

// Whether none of the granule is used: then its quarters are listed no more.
bool leave_granule(const Zone& zone, QuarterPool& pool, uintptr_t granule) EP_REQUIRES(pool.lock) {
  if (free_quarters(zone, granule).load(std::memory_order_relaxed) != kQuartersPerGranule) {
    return false;
  }
  uintptr_t listed_end = granule + kGranuleBytes;
  if (pool.uncut_end == listed_end) {
    listed_end = pool.uncut_start;
    pool.uncut_start = pool.uncut_end = 0;
  }
  for (uintptr_t start = granule; start < listed_end; start += kQuarterBytes) {
    Slab* quarter = quarter_at(zone, start);
    unlist(zone, pool, quarter);
    if (quarter->purged_pages != 0) count_purged_pages(quarter);
  }
  return true;
}

// Lists a quarter that is nobody's, of which `returned_bytes` have just gone back.
void put(Zone& zone, QuarterPool& pool, Slab* quarter, size_t returned_bytes) {
  const uintptr_t granule = granule_of(quarter);
  {
    LockGuard guard(pool.lock);
    const bool is_settled = quarter->pages == SlabPages::kSettled;
    list(zone, pool, quarter,
         returned_bytes != 0 ? kPurged : (is_settled ? pool.settled() : pool.recent));
    pool.returned_bytes += returned_bytes;
    if (!leave_granule(zone, pool, granule)) return;
  }
  buddy_free(zone, reinterpret_cast<void*>(granule));
}

// The bytes that went back. Of what could not go nobody asks again before it was used.
size_t purge(const Zone& zone, Slab* quarter) {
  EP_ASSERT(quarter->purged_pages == 0);
  if (quarter->pages == SlabPages::kPurged) return 0;
  quarter->pages = SlabPages::kPurged;
  if (kQuarterBytes % page_bytes() != 0) return 0;
  if (!buddy_return_pages(zone, quarter->start, kQuarterBytes)) return 0;
  discharge(kQuarterBytes);
  quarter->purged_pages = static_cast<uint16_t>(kQuarterBytes / page_bytes());
  return kQuarterBytes;
}

// Purges the first of a list, without the lock: all classes of the zone would wait. Meanwhile it is
// nobody's, and its granule stays; a child of a fork in this moment has lost it.
size_t purge_first(Zone& zone, QuarterPool& pool, bool settled, bool* more) {
  Slab* quarter = nullptr;
  {
    LockGuard guard(pool.lock);
    quarter = pool.lists[settled ? pool.settled() : pool.recent].front();
    *more = quarter != nullptr;
    if (quarter == nullptr) return 0;
    unlist(zone, pool, quarter);
  }
  const size_t bytes = purge(zone, quarter);
  put(zone, pool, quarter, bytes);
  return bytes;
}

// All that stand in the list now. What could not go comes again, as a recent one: they are counted.
size_t purge_list(Zone& zone, QuarterPool& pool, bool settled) {
  uint64_t left = 0;
  {
    LockGuard guard(pool.lock);
    left = pool.counts[settled ? pool.settled() : pool.recent];
  }
  size_t returned_bytes = 0;
  for (bool more = true; more && left > 0; --left) {
    returned_bytes += purge_first(zone, pool, settled, &more);
  }
  return returned_bytes;
}

void add_stats(QuarterPool& pool, QuarterStats* sum) {
  LockGuard guard(pool.lock);
  const uint64_t resident_bytes =
      (pool.counts[0] + pool.counts[1]) * kQuarterBytes + (pool.uncut_end - pool.uncut_start);
  sum->resident_bytes += resident_bytes;
  sum->free_bytes += resident_bytes + pool.counts[kPurged] * kQuarterBytes;
  sum->returned_bytes += pool.returned_bytes;
}

}  // namespace

Slab* quarter_take(Zone& zone, NodeId node) {
  QuarterPool& pool = pool_of(zone, node);
  Slab* quarter = take_free(zone, pool);
  if (quarter != nullptr) return quarter;
  bool zeroed = false;
  void* granule = buddy_allocate(zone, node, 1, &zeroed);
  if (granule == nullptr) return nullptr;
  return cut_granule(zone, pool, address_of(granule));
}

void quarter_put(Zone& zone, Slab* quarter) { put(zone, pool_of(zone, quarter->node), quarter, 0); }

void quarters_leave_whole(const Zone& zone, const void* granule) {
  free_quarters(zone, address_of(granule)).store(kWhole, std::memory_order_relaxed);
}

size_t quarters_release() {
  size_t returned_bytes = 0;
  for_each_pool([&](Zone& zone, QuarterPool& pool) {
    {
      LockGuard guard(pool.lock);
      list_uncut(zone, pool);
    }
    for (const bool settled : {true, false}) returned_bytes += purge_list(zone, pool, settled);
  });
  return returned_bytes;
}

size_t quarters_release_settled() {
  size_t returned_bytes = 0;
  for_each_pool([&](Zone& zone, QuarterPool& pool) {
    returned_bytes += purge_list(zone, pool, true);
    LockGuard guard(pool.lock);
    pool.recent = pool.settled();
  });
  return returned_bytes;
}

QuarterStats quarter_stats() {
  QuarterStats sum;
  for_each_pool([&](Zone&, QuarterPool& pool) { add_stats(pool, &sum); });
  return sum;
}

QuarterStats quarter_node_stats(NodeId node) {
  QuarterStats sum;
  for (QuarterPool& pool : g_pools[index_of(node) % kNodesMax]) add_stats(pool, &sum);
  return sum;
}

void quarters_lock_for_fork() EP_NO_THREAD_SAFETY_ANALYSIS {
  for_each_pool([](Zone&, QuarterPool& pool)
                    EP_NO_THREAD_SAFETY_ANALYSIS { pool.lock.lock_for_fork(); });
}

void quarters_unlock_after_fork(bool in_child) EP_NO_THREAD_SAFETY_ANALYSIS {
  for_each_pool([in_child](Zone&, QuarterPool& pool)
                    EP_NO_THREAD_SAFETY_ANALYSIS { pool.lock.unlock_after_fork(in_child); });
}

}  // namespace elasticpool
