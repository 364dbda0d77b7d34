// See thread_cache.h.
#include "magazine/thread_cache.h"

#include <atomic>
#include <cstring>
#include <new>

#include "base/lock.h"
#include "magazine/tuner.h"
#include "os/meta_arena.h"
#include "percpu/cpu_cache.h"
#include "tune/options.h"

namespace elasticpool {
namespace {

using CacheList = List<ThreadCache, &ThreadCache::link>;

// What dead threads did, so that sums stay exact.
struct ClassHistory {
  uint64_t requests = 0;
  uint64_t missed = 0;
  uint64_t refills = 0;
  uint64_t flushes = 0;
};

struct Registry {
  Lock lock{LockRank::kThreads};
  // Those of living threads; in the child of a fork also those of the threads that its parent had.
  CacheList caches EP_GUARDED_BY(lock);
  // How many forks lie between the first process and this one. A cache of an earlier one is lost.
  uint32_t generation EP_GUARDED_BY(lock) = 0;
  ClassHistory history[kClasses] EP_GUARDED_BY(lock);
};

constinit Registry g_registry;
constinit std::atomic<uint64_t> g_uncached[kClasses] = {};

// The one slot of every magazine that holds nothing.
constinit void* g_no_slots[1] = {nullptr};

void vacate(ThreadCache& cache, size_t code) {
  cache.base[code].set(g_no_slots);
  cache.top[code].set(g_no_slots + 1);
  cache.limit[code] = g_no_slots + 1;
  cache.use[code].slots.set(0);
}

constexpr ThreadCache make_vacant_cache() {
  ThreadCache cache;
  for (size_t code = 0; code < kCodes; ++code) {
    cache.base[code].set(g_no_slots);
    cache.top[code].set(g_no_slots + 1);
    cache.limit[code] = g_no_slots + 1;
  }
  return cache;
}

size_t block_bytes_of_code(size_t code) { return kSizeClasses[code - 1].block_bytes; }

// Takes up to kBatchMax of the lowest blocks out of the magazine, then puts them back where they
// live; how many.
size_t put_back_lowest(ThreadCache& cache, size_t code, size_t count) {
  void* batch[kBatchMax];
  void** base = cache.base[code].get();
  const auto held = static_cast<size_t>(cache.top[code].get() - base - 1);
  if (count > held) count = held;
  if (count > kBatchMax) count = kBatchMax;
  if (count == 0) return 0;
  memcpy(batch, base + 1, count * sizeof *batch);
  memmove(base + 1, base + 1 + count, (held - count) * sizeof *base);
  cache.top[code].set(base + 1 + (held - count));
  cache.use[code].flushes.add(1);
  put_blocks(class_of_code(code), batch, count);
  return count;
}

void put_back_all(ThreadCache& cache, size_t code) {
  while (put_back_lowest(cache, code, kBatchMax) != 0) {
  }
}

// Moves the magazine to an array of `slots`; what does not fit must have been put back before.
// Keeps the old one when there is no memory.
bool resize(ThreadCache& cache, size_t code, uint32_t slots) {
  ClassUse& use = cache.use[code];
  const size_t block_bytes = block_bytes_of_code(code);
  void** old_base = cache.base[code].get();
  const uint32_t old_slots = use.slots.get();
  const auto held = static_cast<size_t>(cache.top[code].get() - old_base - 1);
  if (slots == 0) {
    vacate(cache, code);
  } else {
    auto** base = static_cast<void**>(meta_allocate(slots * sizeof(void*)));
    if (base == nullptr) return false;
    memcpy(base + 1, old_base + 1, held * sizeof *base);
    cache.base[code].set(base);
    cache.top[code].set(base + 1 + held);
    cache.limit[code] = base + 1 + capacity_of(slots, block_bytes);
    use.slots.set(slots);
  }
  cache.capacity_bytes += capacity_of(slots, block_bytes) * block_bytes;
  cache.capacity_bytes -= capacity_of(old_slots, block_bytes) * block_bytes;
  if (old_slots != 0) meta_give_back(old_base, old_slots * sizeof(void*));
  return true;
}

// Empties and halves what was not used for a while.
void tick(ThreadCache& cache) {
  cache.next_tick = cache.events + kTickEvents;
  for (size_t code = 1; code < kCodes; ++code) {
    ClassUse& use = cache.use[code];
    const uint32_t slots = use.slots.get();
    if (slots == 0 || cache.events - use.last_event < kIdleEvents) continue;
    put_back_all(cache, code);
    resize(cache, code, slots > kSlotsMin ? slots / 2 : 0);
    use.last_event = cache.events;
  }
}

size_t room_bytes_of(const ThreadCache& cache) {
  const size_t budget_bytes = options().magazine_bytes;
  return budget_bytes > cache.capacity_bytes ? budget_bytes - cache.capacity_bytes : 0;
}

// Lets go of the magazine that was longest without an event, if that is long enough ago.
void evict_idlest(ThreadCache& cache) {
  size_t idlest = 0;
  uint32_t longest = kHotEvents;
  for (size_t code = 1; code < kCodes; ++code) {
    const uint32_t idle = cache.events - cache.use[code].last_event;
    if (cache.use[code].slots.get() == 0 || idle <= longest) continue;
    idlest = code;
    longest = idle;
  }
  if (idlest == 0) return;
  put_back_all(cache, idlest);
  resize(cache, idlest, 0);
}

// Counts a miss or an overflow and lets the magazine grow; its capacity, 0 without memory.
uint32_t note_event(ThreadCache& cache, size_t code) {
  ClassUse& use = cache.use[code];
  ++cache.events;
  const bool hot = cache.events - use.last_event < kHotEvents;
  use.last_event = cache.events;
  if (cache.events - cache.next_tick < UINT32_MAX / 2) tick(cache);
  const size_t block_bytes = block_bytes_of_code(code);
  uint32_t slots = grown_slots(use.slots.get(), hot, block_bytes, room_bytes_of(cache));
  if (slots == 0) {
    evict_idlest(cache);
    slots = grown_slots(0, hot, block_bytes, room_bytes_of(cache));
  }
  if (slots != use.slots.get()) resize(cache, code, slots);
  return capacity_of(use.slots.get(), block_bytes_of_code(code));
}

void add_history(ThreadCache& cache) EP_REQUIRES(g_registry.lock) {
  for (size_t code = 1; code < kCodes; ++code) {
    ClassHistory& history = g_registry.history[code - 1];
    history.requests += cache.requests[code].get();
    history.missed += cache.use[code].missed.get();
    history.refills += cache.use[code].refills.get();
    history.flushes += cache.use[code].flushes.get();
  }
}

// What no cache of the list has counted.
void start_sum(size_t index, MagazineStats* sum) EP_REQUIRES(g_registry.lock) {
  const ClassHistory& history = g_registry.history[index];
  const uint64_t uncached = g_uncached[index].load(std::memory_order_relaxed);
  sum->requests = history.requests + uncached;
  sum->missed = history.missed + uncached;
  sum->refills = history.refills;
  sum->flushes = history.flushes;
}

void add_cache(const ThreadCache& cache, size_t index, bool is_lost, MagazineStats* sum) {
  const size_t code = index + 1;
  sum->requests += cache.requests[code].peek();
  sum->missed += cache.use[code].missed.peek();
  sum->refills += cache.use[code].refills.peek();
  sum->flushes += cache.use[code].flushes.peek();
  uint64_t& blocks = is_lost ? sum->lost_blocks : sum->cached_blocks;
  blocks += cache.cached_blocks(static_cast<BlockCode>(code));
}

void vacate_all(ThreadCache& cache) {
  for (size_t code = 0; code < kCodes; ++code) vacate(cache, code);
}

}  // namespace

constinit ThreadCache g_vacant_cache = make_vacant_cache();

void* refill_and_pop(ThreadCache& cache, ClassId id) {
  const size_t code = code_of(id);
  const uint32_t capacity = note_event(cache, code);
  void* batch[kBatchMax];
  // Without an array (no memory for it) one block at a time.
  const size_t wanted = cache.use[code].slots.get() == 0 ? 1 : refill_batch(capacity);
  const size_t count = take_blocks(id, batch, wanted);
  if (count == 0) return nullptr;
  cache.requests[code].add(1);
  cache.use[code].missed.add(1);
  cache.use[code].refills.add(1);
  // Upside down: the lowest address is handed out first.
  void** top = cache.top[code].get();
  for (size_t i = count; i-- > 1;) *top++ = batch[i];
  cache.top[code].set(top);
  return batch[0];
}

void flush_and_push(ThreadCache& cache, ClassId id, void* block) {
  const size_t code = code_of(id);
  const uint32_t capacity = note_event(cache, code);
  if (cache.use[code].slots.get() == 0) return put_one(id, block);
  if (cache.top[code].get() == cache.limit[code]) {
    put_back_lowest(cache, code, refill_batch(capacity));
  }
  void** top = cache.top[code].get();
  *top = block;
  cache.top[code].set(top + 1);
}

void* take_one(ClassId id) {
  void* block = nullptr;
  return take_blocks(id, &block, 1) == 1 ? block : nullptr;
}

void put_one(ClassId id, void* block) { put_blocks(id, &block, 1); }

ThreadCache* make_cache() {
  void* memory = meta_allocate(sizeof(ThreadCache));
  if (memory == nullptr) return nullptr;
  auto* cache = new (memory) ThreadCache;
  vacate_all(*cache);
  LockGuard guard(g_registry.lock);
  cache->generation = g_registry.generation;
  g_registry.caches.push_front(cache);
  return cache;
}

void flush_all(ThreadCache& cache) {
  for (size_t code = 1; code < kCodes; ++code) {
    if (cache.use[code].slots.get() == 0) continue;
    put_back_all(cache, code);
    resize(cache, code, 0);
  }
}

void retire_cache(ThreadCache* cache) {
  flush_all(*cache);
  {
    LockGuard guard(g_registry.lock);
    g_registry.caches.remove(cache);
    add_history(*cache);
  }
  meta_give_back(cache, sizeof *cache);
}

void magazine_stats(MagazineTable* table) {
  *table = {};
  LockGuard guard(g_registry.lock);
  for (size_t i = 0; i < kClasses; ++i) start_sum(i, &table->classes[i]);
  for (const ThreadCache* cache = g_registry.caches.front(); cache != nullptr;
       cache = CacheList::next(cache)) {
    const bool is_lost = cache->generation != g_registry.generation;
    ++(is_lost ? table->lost_caches : table->caches);
    for (size_t i = 0; i < kClasses; ++i) add_cache(*cache, i, is_lost, &table->classes[i]);
  }
}

void count_uncached(ClassId id) {
  g_uncached[index_of(id)].fetch_add(1, std::memory_order_relaxed);
}

void threads_lock_for_fork() EP_NO_THREAD_SAFETY_ANALYSIS { g_registry.lock.lock_for_fork(); }

void threads_unlock_after_fork(bool in_child, ThreadCache* survivor) EP_NO_THREAD_SAFETY_ANALYSIS {
  if (in_child) {
    ++g_registry.generation;
    if (survivor != &g_vacant_cache) survivor->generation = g_registry.generation;
  }
  g_registry.lock.unlock_after_fork(in_child);
}

}  // namespace elasticpool
