// See cpu_cache.h.
#include "percpu/cpu_cache.h"

#include <atomic>
#include <new>

#include "base/bits.h"
#include "base/list.h"
#include "base/lock.h"
#include "os/cpu.h"
#include "os/meta_arena.h"
#include "os/numa.h"
#include "slab/quarters.h"
#include "slab/slab.h"

namespace elasticpool {

struct SlabHome {
  Lock lock;
  const bool is_cpu;

  constexpr SlabHome(LockRank rank, bool cpu) : lock(rank), is_cpu(cpu) {}
};

namespace {

// CPUs that are told apart (modulo this), and the caches that they share.
constexpr size_t kCpuNumbers = 1024;
constexpr size_t kCpuCachesMax = UINT8_MAX;
// Partial slabs by how full they are: the fullest are drawn from first, and last of all those whose
// free pages went back.
constexpr unsigned kBuckets = 4;
constexpr unsigned kPurgedBucket = kBuckets;
// How many slabs of a bucket are looked at for one that the CPU has had before. More find little
// more, and the bin's lock is held meanwhile.
constexpr unsigned kLooksForOwn = 4;
// How many slabs are purged before their bin's lock is let go: others want blocks.
constexpr unsigned kPurgesAtOnce = 32;

struct CpuCache : SlabHome {
  constexpr explicit CpuCache(uint8_t its_number)
      : SlabHome(LockRank::kCpu, true), number(its_number) {}

  const uint8_t number;

  Slab* current[kClasses] EP_GUARDED_BY(lock) = {};
};

struct NodeBin : SlabHome {
  using SlabList = List<Slab, &Slab::link>;

  constexpr NodeBin() : SlabHome(LockRank::kNode, false) {}

  SlabList partial[kBuckets + 1] EP_GUARDED_BY(lock);
  SlabStats stats EP_GUARDED_BY(lock);
};

constinit CpuCache g_first_cache{0};
constinit std::atomic<CpuCache*> g_caches[kCpuCachesMax] = {};
// Which cache a CPU has, counted from 1; 0 until a thread runs there. So CPUs that the process may
// not use have none, whatever their numbers, and where fewer may be used at once than there are
// (a quota), they share.
constinit std::atomic<uint8_t> g_cache_of_cpu[kCpuNumbers] = {};
// What follows is guarded by the first cache's lock. Caches in use, the nodes that they are for (on
// no node are more of them than g_caches_a_node), and how many CPUs had to share one so far.
constinit size_t g_caches_a_node EP_GUARDED_BY(g_first_cache.lock) = 1;
constinit size_t g_caches_used EP_GUARDED_BY(g_first_cache.lock) = 0;
constinit NodeId g_node_of_cache[kCpuCachesMax] EP_GUARDED_BY(g_first_cache.lock) = {};
constinit size_t g_sharing_cpus EP_GUARDED_BY(g_first_cache.lock) = 0;
constinit NodeBin g_bins[kNodesMax][kClasses];
constinit std::atomic<NodeId (*)(CpuId)> g_find_node{nullptr};

NodeBin& bin_of(NodeId node, ClassId id) {
  return g_bins[index_of(node) % kNodesMax][index_of(id)];
}

NodeId node_of(CpuId cpu) {
  // order[node-of-cpu]: the table behind the function was filled before it was set.
  const auto function = g_find_node.load(std::memory_order_acquire);
  return function == nullptr ? NodeId{0} : function(cpu);
}

// Published under the first cache's lock, which fork takes before it looks for the others: so none
// appears while a fork is under way.
CpuCache* publish_cpu_cache(std::atomic<CpuCache*>& slot) {
  void* memory = meta_allocate(sizeof(CpuCache));
  // Without memory for its own, a CPU shares the first one's.
  if (memory == nullptr) return &g_first_cache;
  LockGuard guard(g_first_cache.lock);
  CpuCache* existing = slot.load(std::memory_order_relaxed);
  if (existing != nullptr) {
    meta_give_back(memory, sizeof(CpuCache));
    return existing;
  }
  static_assert(kCpuCachesMax <= UINT8_MAX, "a cache's number is one byte");
  auto* cache = new (memory) CpuCache(static_cast<uint8_t>(&slot - g_caches));
  // order[cpu-cache]: the cache is whole before others find it.
  slot.store(cache, std::memory_order_release);
  return cache;
}

// A cache of the CPU's node for it: another one, or, where there are as many as may be, each in
// turn; counted from 1.
EP_NOINLINE uint8_t choose_cache(CpuId cpu) {
  std::atomic<uint8_t>& chosen = g_cache_of_cpu[index_of(cpu) % kCpuNumbers];
  const NodeId node = node_of(cpu);
  LockGuard guard(g_first_cache.lock);
  if (chosen.load(std::memory_order_relaxed) != 0) return chosen.load(std::memory_order_relaxed);
  uint8_t of_node[kCpuCachesMax];
  size_t count = 0;
  for (size_t i = 0; i < g_caches_used; ++i) {
    if (g_node_of_cache[i] == node) of_node[count++] = static_cast<uint8_t>(i);
  }
  uint8_t index = 0;
  if (count < g_caches_a_node && g_caches_used < kCpuCachesMax) {
    index = static_cast<uint8_t>(g_caches_used++);
    g_node_of_cache[index] = node;
  } else if (count > 0) {
    index = of_node[g_sharing_cpus++ % count];
  }
  chosen.store(static_cast<uint8_t>(index + 1), std::memory_order_relaxed);
  return static_cast<uint8_t>(index + 1);
}

CpuCache& cache_of(CpuId cpu) {
  uint8_t chosen = g_cache_of_cpu[index_of(cpu) % kCpuNumbers].load(std::memory_order_relaxed);
  if (EP_UNLIKELY(chosen == 0)) chosen = choose_cache(cpu);
  const size_t index = size_t{chosen} - 1;
  if (index == 0) return g_first_cache;
  // order[cpu-cache]: sees the whole cache that publish_cpu_cache() made.
  CpuCache* cache = g_caches[index].load(std::memory_order_acquire);
  return cache != nullptr ? *cache : *publish_cpu_cache(g_caches[index]);
}

template <typename Visit>
void for_each_bin(Visit visit) {
  for (size_t node = 0; node < node_rows(); ++node) {
    for (NodeBin& bin : g_bins[node]) visit(bin);
  }
}

template <typename Visit>
void for_each_cache(Visit visit) {
  visit(g_first_cache);
  for (auto& slot : g_caches) {
    // order[cpu-cache]: as in cache_of().
    CpuCache* cache = slot.load(std::memory_order_acquire);
    if (cache != nullptr) visit(*cache);
  }
}

// The fullest of the buckets is 0: at most a quarter of the slab's blocks are in it. (free * 4 /
// (blocks + 1), without the division: most frees that reach a slab ask.)
unsigned bucket_of(const Slab* slab) {
  static_assert(kBuckets == 4);
  const uint32_t quarters = slab->free_count * kBuckets;
  const uint32_t whole = slab->blocks + uint32_t{1};
  return unsigned{quarters >= whole} + unsigned{quarters >= 2 * whole} +
         unsigned{quarters >= 3 * whole};
}

void list_partial(NodeBin& bin, Slab* slab) EP_REQUIRES(bin.lock) {
  slab->bucket = static_cast<uint8_t>(slab->purged_pages != 0 ? kPurgedBucket : bucket_of(slab));
  bin.partial[slab->bucket].push_front(slab);
}

// A partial slab for the cache that has its pages, or nullptr. Preferably one that it has had
// before, or `own_only`: in another's, blocks of two CPUs' threads would lie side by side, and with
// them their cells in the block map.
Slab* choose_partial(const CpuCache& cache, NodeBin& bin, bool own_only) EP_REQUIRES(bin.lock) {
  const unsigned looks = own_only ? 1 : kLooksForOwn;
  Slab* others = nullptr;
  for (unsigned bucket = 0; bucket < kBuckets; ++bucket) {
    Slab* slab = bin.partial[bucket].front();
    if (others == nullptr) others = slab;
    for (unsigned look = 0; slab != nullptr && look < looks; ++look) {
      if (slab->last_cache == cache.number) return slab;
      slab = NodeBin::SlabList::next(slab);
    }
  }
  return own_only ? nullptr : others;
}

// A partial slab for `cache`: for the first block of a batch any, for more what costs nobody
// anything. The bin's lock is inside the CPU's.
Slab* fetch_partial(CpuCache& cache, NodeBin& bin, bool is_first) EP_REQUIRES(cache.lock) {
  LockGuard guard(bin.lock);
  Slab* slab = choose_partial(cache, bin, !is_first);
  if (slab == nullptr && is_first) slab = bin.partial[kPurgedBucket].front();
  if (slab == nullptr) return nullptr;
  bin.partial[slab->bucket].remove(slab);
  slab->last_cache = cache.number;
  slab->home.store(&cache, std::memory_order_relaxed);
  return slab;
}

// A slab that has blocks for `cache`: partial ones first.
Slab* fetch_slab(CpuCache& cache, ClassId id, NodeId node) EP_REQUIRES(cache.lock) {
  NodeBin& bin = bin_of(node, id);
  Slab* slab = fetch_partial(cache, bin, true);
  if (slab != nullptr) return slab;
  slab = slab_create(id, node);
  if (slab == nullptr) return nullptr;
  slab->last_cache = cache.number;
  slab->home.store(&cache, std::memory_order_relaxed);
  LockGuard guard(bin.lock);
  ++bin.stats.created;
  ++bin.stats.slabs;
  if (bin.stats.slabs > bin.stats.slabs_peak) bin.stats.slabs_peak = bin.stats.slabs;
  return slab;
}

// A full slab is on no list; the bin is its home, so that the first block to come back finds it.
void retire_full(CpuCache& cache, Slab* slab) EP_REQUIRES(cache.lock) {
  NodeBin& bin = bin_of(slab->node, slab->class_id);
  LockGuard guard(bin.lock);
  cache.current[index_of(slab->class_id)] = nullptr;
  slab->home.store(&bin, std::memory_order_relaxed);
}

// The bin's part of a homecoming: the slab, of whose blocks `old_free` were in it before, may be
// partial now, emptier by a bucket, or empty.
void sort_into_bin(NodeBin& bin, Slab* slab, uint32_t old_free) EP_REQUIRES(bin.lock) {
  const bool is_empty = slab->free_count == slab->blocks;
  if (old_free != 0) {
    if (!is_empty && bucket_of(slab) == slab->bucket) return;
    bin.partial[slab->bucket].remove(slab);
  }
  if (!is_empty) return list_partial(bin, slab);
  ++bin.stats.destroyed;
  --bin.stats.slabs;
  slab_destroy(slab);
}

// Adds what the bin has counted; the blocks that lie in its partial slabs.
uint64_t add_bin(NodeBin& bin, SlabStats* sum) {
  LockGuard guard(bin.lock);
  sum->slabs += bin.stats.slabs;
  sum->slabs_peak += bin.stats.slabs_peak;
  sum->created += bin.stats.created;
  sum->destroyed += bin.stats.destroyed;
  sum->returned_bytes += bin.stats.returned_bytes;
  uint64_t in_slabs = 0;
  for (const auto& list : bin.partial) {
    for (const Slab* slab = list.front(); slab != nullptr; slab = NodeBin::SlabList::next(slab)) {
      in_slabs += slab->free_count;
    }
  }
  return in_slabs;
}

// The slabs of the nodes in [row, end_row).
void count_slabs(size_t row, size_t end_row, SlabTable* table) {
  *table = {};
  uint64_t in_slabs[kClasses] = {};
  for_each_cache([&](CpuCache& cache) {
    LockGuard guard(cache.lock);
    for (size_t i = 0; i < kClasses; ++i) {
      const Slab* slab = cache.current[i];
      if (slab == nullptr) continue;
      const size_t its_row = index_of(slab->node) % kNodesMax;
      if (its_row >= row && its_row < end_row) in_slabs[i] += slab->free_count;
    }
  });
  for (; row < end_row; ++row) {
    for (size_t i = 0; i < kClasses; ++i) {
      in_slabs[i] += add_bin(g_bins[row][i], &table->classes[i]);
    }
  }
  for (size_t i = 0; i < kClasses; ++i) {
    const uint64_t blocks = table->classes[i].slabs * kSizeClasses[i].blocks_per_slab;
    // A slab that changed its home between the two readings may have been counted twice.
    table->classes[i].blocks_out = saturating_subtract(blocks, in_slabs[i]);
  }
}

// A partial slab's free pages go, and it to those that are drawn from last.
size_t purge_listed(NodeBin& bin, Slab* slab) EP_REQUIRES(bin.lock) {
  const size_t returned_bytes = slab_purge(slab);
  if (returned_bytes == 0) return 0;
  bin.partial[slab->bucket].remove(slab);
  list_partial(bin, slab);
  bin.stats.returned_bytes += returned_bytes;
  return returned_bytes;
}

size_t purge_partial(NodeBin& bin) {
  LockGuard guard(bin.lock);
  size_t returned_bytes = 0;
  for (const auto& list : bin.partial) {
    Slab* following = nullptr;
    for (Slab* slab = list.front(); slab != nullptr; slab = following) {
      following = NodeBin::SlabList::next(slab);
      returned_bytes += purge_listed(bin, slab);
    }
  }
  return returned_bytes;
}

// Purges settled slabs, a bounded number; *more: there are others.
size_t purge_settled(NodeBin& bin, bool* more) {
  LockGuard guard(bin.lock);
  size_t returned_bytes = 0;
  unsigned purges = 0;
  *more = false;
  for (unsigned bucket = 0; bucket < kBuckets && !*more; ++bucket) {
    Slab* following = nullptr;
    for (Slab* slab = bin.partial[bucket].front(); slab != nullptr; slab = following) {
      following = NodeBin::SlabList::next(slab);
      if (slab->pages != SlabPages::kSettled) continue;
      *more = purges == kPurgesAtOnce;
      if (*more) break;
      ++purges;
      returned_bytes += purge_listed(bin, slab);
    }
  }
  return returned_bytes;
}

void mark_settled(NodeBin& bin) {
  LockGuard guard(bin.lock);
  for (const auto& list : bin.partial) {
    for (Slab* slab = list.front(); slab != nullptr; slab = NodeBin::SlabList::next(slab)) {
      if (slab->pages == SlabPages::kChanged) slab->pages = SlabPages::kSettled;
    }
  }
}

// A current slab's memory goes: all of it if the slab is empty, else the pages of its free blocks.
// The bytes that went to the system.
size_t release_current([[maybe_unused]] CpuCache& cache, Slab*& current) EP_REQUIRES(cache.lock) {
  Slab* slab = current;
  NodeBin& bin = bin_of(slab->node, slab->class_id);
  LockGuard guard(bin.lock);
  if (slab->free_count == slab->blocks) {
    current = nullptr;
    ++bin.stats.destroyed;
    --bin.stats.slabs;
    slab_destroy(slab);
    return 0;
  }
  const size_t bytes = slab_purge(slab);
  bin.stats.returned_bytes += bytes;
  return bytes;
}

// A current slab goes to its bin as a partial one, or back whole if it is empty.
void put_current_into_bin([[maybe_unused]] CpuCache& cache, Slab*& current)
    EP_REQUIRES(cache.lock) {
  NodeBin& bin = bin_of(current->node, current->class_id);
  LockGuard guard(bin.lock);
  if (current->free_count == current->blocks) {
    ++bin.stats.destroyed;
    --bin.stats.slabs;
    slab_destroy(current);
  } else {
    current->home.store(&bin, std::memory_order_relaxed);
    list_partial(bin, current);
  }
  current = nullptr;
}

// From here on CPUs choose anew. Who has read the old choice goes on with that cache: slower, never
// wrong; and what it leaves there release_slabs() finds.
void forget_choices() EP_REQUIRES(g_first_cache.lock) {
  for (std::atomic<uint8_t>& chosen : g_cache_of_cpu) chosen.store(0, std::memory_order_relaxed);
  g_caches_used = 0;
  g_sharing_cpus = 0;
}

// Locks whoever is home to the slab; the home cannot change while its lock is held. (Which lock
// that is, only the loop knows: no annotation can say it, here and in put_blocks().)
SlabHome* lock_home(const Slab* slab, SlabHome* held) EP_NO_THREAD_SAFETY_ANALYSIS {
  for (;;) {
    SlabHome* home = slab->home.load(std::memory_order_relaxed);
    if (home == held) return home;
    if (held != nullptr) held->lock.unlock();
    home->lock.lock();
    held = home;
    if (slab->home.load(std::memory_order_relaxed) == home) return home;
  }
}

}  // namespace

size_t take_blocks(ClassId id, void** blocks, size_t wanted) {
  const CpuId cpu = current_cpu();
  CpuCache& cache = cache_of(cpu);
  LockGuard guard(cache.lock);
  size_t taken = 0;
  // A new slab, one whose pages went back, and another CPU's is opened for the first block only: a
  // batch need not be full.
  while (taken < wanted) {
    Slab*& current = cache.current[index_of(id)];
    if (current == nullptr) {
      const NodeId node = node_of(cpu);
      current =
          taken == 0 ? fetch_slab(cache, id, node) : fetch_partial(cache, bin_of(node, id), false);
    }
    if (current == nullptr) break;
    taken += slab_take(current, blocks + taken, wanted - taken);
    if (current->free_count == 0) retire_full(cache, current);
  }
  return taken;
}

void put_blocks(ClassId id, void* const* blocks, size_t count) EP_NO_THREAD_SAFETY_ANALYSIS {
  const Zone& zone = zone_of(id);
  SlabHome* held = nullptr;
  for (size_t done = 0; done < count;) {
    Slab* slab = slab_of(zone, blocks[done]);
    held = lock_home(slab, held);
    const uint32_t old_free = slab->free_count;
    // What was allocated together is mostly freed together: one look-up for all that follow here.
    done += slab_put(slab, blocks + done, count - done);
    if (!held->is_cpu) sort_into_bin(static_cast<NodeBin&>(*held), slab, old_free);
  }
  if (held != nullptr) held->lock.unlock();
}

void slab_stats(SlabTable* table) { count_slabs(0, node_rows(), table); }

void slab_node_stats(NodeId node, SlabTable* table) {
  const size_t row = index_of(node) % kNodesMax;
  count_slabs(row, row + 1, table);
}

size_t release_slabs() {
  size_t returned_bytes = 0;
  for_each_cache([&](CpuCache& cache) {
    LockGuard guard(cache.lock);
    for (Slab*& current : cache.current) {
      if (current != nullptr) returned_bytes += release_current(cache, current);
    }
  });
  for_each_bin([&](NodeBin& bin) { returned_bytes += purge_partial(bin); });
  return returned_bytes + quarters_release();
}

size_t release_settled_slabs() {
  size_t returned_bytes = 0;
  for_each_cache([&](CpuCache& cache) {
    LockGuard guard(cache.lock);
    for (Slab*& current : cache.current) {
      if (current == nullptr) continue;
      if (current->pages == SlabPages::kSettled) {
        returned_bytes += release_current(cache, current);
      } else if (current->pages == SlabPages::kChanged) {
        current->pages = SlabPages::kSettled;
      }
    }
  });
  for_each_bin([&](NodeBin& bin) {
    for (bool more = true; more;) returned_bytes += purge_settled(bin, &more);
    mark_settled(bin);
  });
  return returned_bytes + quarters_release_settled();
}

void set_node_of_cpu(NodeId (*node_of_cpu)(CpuId)) {
  // order[node-of-cpu]: publishes the table that the function reads.
  g_find_node.store(node_of_cpu, std::memory_order_release);
  LockGuard guard(g_first_cache.lock);
  forget_choices();
}

void choose_cpu_caches(size_t a_node) {
  {
    LockGuard guard(g_first_cache.lock);
    g_caches_a_node = a_node;
    forget_choices();
  }
  for_each_cache([](CpuCache& cache) {
    LockGuard guard(cache.lock);
    for (Slab*& current : cache.current) {
      if (current != nullptr) put_current_into_bin(cache, current);
    }
  });
}

size_t cpu_caches() {
  LockGuard guard(g_first_cache.lock);
  return g_caches_used;
}

NodeId current_node() { return node_of(current_cpu()); }

void percpu_lock_for_fork() EP_NO_THREAD_SAFETY_ANALYSIS {
  for_each_cache([](CpuCache& cache) EP_NO_THREAD_SAFETY_ANALYSIS { cache.lock.lock_for_fork(); });
  for_each_bin([](NodeBin& bin) EP_NO_THREAD_SAFETY_ANALYSIS { bin.lock.lock_for_fork(); });
}

void percpu_unlock_after_fork(bool in_child) EP_NO_THREAD_SAFETY_ANALYSIS {
  const auto release = [in_child](SlabHome& home)
                           EP_NO_THREAD_SAFETY_ANALYSIS { home.lock.unlock_after_fork(in_child); };
  for_each_bin(release);
  // The first one last: others may be made again then.
  for (size_t i = kCpuCachesMax; i-- > 0;) {
    // order[cpu-cache]: as in cache_of().
    CpuCache* cache = i == 0 ? &g_first_cache : g_caches[i].load(std::memory_order_acquire);
    if (cache != nullptr) release(*cache);
  }
}

}  // namespace elasticpool
