// See quarters.h.
#include "slab/quarters.h"

#include "base/held_memory.h"
#include "base/list.h"
#include "base/lock.h"
#include "buddy/buddy.h"
#include "os/numa.h"
#include "os/vm.h"

namespace elasticpool {
namespace {

constexpr size_t kQuartersPerGranule = kGranuleBytes / kQuarterBytes;
// How many are purged before the lock is let go: others want slabs.
constexpr unsigned kPurgesAtOnce = 32;

// Where a free quarter is listed, the first preferred: recently used, about to be purged, purged.
enum QuarterList : uint8_t { kRecent, kPurging, kPurged, kQuarterLists };

struct QuarterPool {
  Lock lock{LockRank::kQuarter};
  List<Slab, &Slab::link> lists[kQuarterLists] EP_GUARDED_BY(lock);
  uint64_t counts[kQuarterLists] EP_GUARDED_BY(lock) = {};
  uint64_t returned_bytes EP_GUARDED_BY(lock) = 0;
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

void list(QuarterPool& pool, Slab* quarter, QuarterList which) EP_REQUIRES(pool.lock) {
  quarter->is_free_quarter = true;
  quarter->bucket = which;
  pool.lists[which].push_front(quarter);
  ++pool.counts[which];
}

void unlist(QuarterPool& pool, Slab* quarter) EP_REQUIRES(pool.lock) {
  pool.lists[quarter->bucket].remove(quarter);
  --pool.counts[quarter->bucket];
  quarter->is_free_quarter = false;
}

Slab* take_listed(QuarterPool& pool) {
  LockGuard guard(pool.lock);
  for (const auto& quarters : pool.lists) {
    Slab* quarter = quarters.front();
    if (quarter == nullptr) continue;
    unlist(pool, quarter);
    // Whoever takes it will touch what was given back of it.
    if (quarter->purged_pages != 0) tick_growth(count_purged_pages(quarter));
    return quarter;
  }
  return nullptr;
}

Slab* cut_granule(const Zone& zone, QuarterPool& pool, NodeId node, uintptr_t granule) {
  LockGuard guard(pool.lock);
  // The lowest is listed last, and taken first.
  for (size_t i = kQuartersPerGranule; i-- > 0;) {
    Slab* quarter = quarter_at(zone, granule + i * kQuarterBytes);
    quarter->link = {};
    quarter->start = granule + i * kQuarterBytes;
    quarter->node = node;
    quarter->purged_pages = 0;
    quarter->pages = SlabPages::kChanged;
    if (i > 0) list(pool, quarter, kRecent);
  }
  return quarter_at(zone, granule);
}

// Whether none of the granule is used: then its quarters are listed no more.
bool leave_granule(const Zone& zone, QuarterPool& pool, uintptr_t granule) EP_REQUIRES(pool.lock) {
  Slab* quarters[kQuartersPerGranule];
  for (size_t i = 0; i < kQuartersPerGranule; ++i) {
    quarters[i] = quarter_at(zone, granule + i * kQuarterBytes);
    if (!quarters[i]->is_free_quarter) return false;
  }
  for (Slab* quarter : quarters) {
    unlist(pool, quarter);
    if (quarter->purged_pages != 0) count_purged_pages(quarter);
  }
  return true;
}

// The bytes that went back.
size_t purge(const Zone& zone, Slab* quarter) {
  if (kQuarterBytes % page_bytes() != 0) return 0;
  if (!buddy_return_pages(zone, quarter->start, kQuarterBytes)) return 0;
  // Those of its slab's time are among them.
  count_purged_pages(quarter);
  discharge(kQuarterBytes);
  quarter->purged_pages = static_cast<uint16_t>(kQuarterBytes / page_bytes());
  return kQuarterBytes;
}

// All that are listed as recent are to go, or those that were at the last call already.
void choose_purges(QuarterPool& pool, bool settled_only) {
  LockGuard guard(pool.lock);
  Slab* following = nullptr;
  for (Slab* quarter = pool.lists[kRecent].front(); quarter != nullptr; quarter = following) {
    following = List<Slab, &Slab::link>::next(quarter);
    if (settled_only && quarter->pages == SlabPages::kChanged) {
      quarter->pages = SlabPages::kSettled;
      continue;
    }
    unlist(pool, quarter);
    list(pool, quarter, kPurging);
  }
}

size_t purge_some(const Zone& zone, QuarterPool& pool, bool* more) {
  LockGuard guard(pool.lock);
  size_t returned_bytes = 0;
  for (unsigned i = 0; i < kPurgesAtOnce; ++i) {
    Slab* quarter = pool.lists[kPurging].front();
    *more = quarter != nullptr;
    if (quarter == nullptr) break;
    unlist(pool, quarter);
    returned_bytes += purge(zone, quarter);
    list(pool, quarter, kPurged);
  }
  pool.returned_bytes += returned_bytes;
  return returned_bytes;
}

size_t release(bool settled_only) {
  size_t returned_bytes = 0;
  for_each_pool([&](const Zone& zone, QuarterPool& pool) {
    choose_purges(pool, settled_only);
    for (bool more = true; more;) returned_bytes += purge_some(zone, pool, &more);
  });
  return returned_bytes;
}

void add_stats(QuarterPool& pool, QuarterStats* sum) {
  LockGuard guard(pool.lock);
  const uint64_t resident = pool.counts[kRecent] + pool.counts[kPurging];
  sum->resident_bytes += resident * kQuarterBytes;
  sum->free_bytes += (resident + pool.counts[kPurged]) * kQuarterBytes;
  sum->returned_bytes += pool.returned_bytes;
}

}  // namespace

Slab* quarter_take(Zone& zone, NodeId node) {
  QuarterPool& pool = pool_of(zone, node);
  Slab* quarter = take_listed(pool);
  if (quarter != nullptr) return quarter;
  bool zeroed = false;
  void* granule = buddy_allocate(zone, node, 1, &zeroed);
  if (granule == nullptr) return nullptr;
  return cut_granule(zone, pool, node, address_of(granule));
}

void quarter_put(Zone& zone, Slab* quarter) {
  const uintptr_t granule = round_down(quarter->start, kGranuleBytes);
  QuarterPool& pool = pool_of(zone, quarter->node);
  {
    LockGuard guard(pool.lock);
    quarter->pages = SlabPages::kChanged;
    list(pool, quarter, kRecent);
    if (!leave_granule(zone, pool, granule)) return;
  }
  buddy_free(zone, reinterpret_cast<void*>(granule));
}

size_t quarters_release() { return release(false); }
size_t quarters_release_settled() { return release(true); }

QuarterStats quarter_stats() {
  QuarterStats sum;
  for_each_pool([&](const Zone&, QuarterPool& pool) { add_stats(pool, &sum); });
  return sum;
}

QuarterStats quarter_node_stats(NodeId node) {
  QuarterStats sum;
  for (QuarterPool& pool : g_pools[index_of(node) % kNodesMax]) add_stats(pool, &sum);
  return sum;
}

void quarters_lock_for_fork() EP_NO_THREAD_SAFETY_ANALYSIS {
  for_each_pool([](const Zone&, QuarterPool& pool)
                    EP_NO_THREAD_SAFETY_ANALYSIS { pool.lock.lock_for_fork(); });
}

void quarters_unlock_after_fork(bool in_child) EP_NO_THREAD_SAFETY_ANALYSIS {
  for_each_pool([in_child](const Zone&, QuarterPool& pool)
                    EP_NO_THREAD_SAFETY_ANALYSIS { pool.lock.unlock_after_fork(in_child); });
}

}  // namespace elasticpool
