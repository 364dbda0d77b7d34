// See thread_cache.h.
#include "magazine/thread_cache.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

#include "base/check.h"
#include "base/lock.h"
#include "magazine/capacity_pool.h"
#include "magazine/tuner.h"
#include "os/meta_arena.h"
#include "percpu/cpu_cache.h"
#include "slab/quarters.h"
#include "slab/slab.h"
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
  PatternSum pattern;
};

struct Registry {
  Lock lock{LockRank::kThreads};
  // Those of living threads; in the child of a fork also those of the threads that its parent had.
  CacheList caches EP_GUARDED_BY(lock);
  // The records of dead ones.
  CacheList spare EP_GUARDED_BY(lock);
  // How many forks lie between the first process and this one. A cache of an earlier one is lost.
  uint32_t generation EP_GUARDED_BY(lock) = 0;
  // Of dead threads: see ThreadCache.
  uint64_t taken_bytes EP_GUARDED_BY(lock) = 0;
  uint64_t runs_served EP_GUARDED_BY(lock) = 0;
  SlabPeak slab_peak EP_GUARDED_BY(lock);
};

constinit Registry g_registry;
constinit ClassHistory g_history[kClasses] EP_GUARDED_BY(g_registry.lock);
constinit std::atomic<uint64_t> g_uncached[kClasses] = {};
// As ThreadCache::taken_bytes, of whoever has no cache.
constinit std::atomic<uint64_t> g_uncached_taken_bytes{0};
// How much the slabs have to take before how full they are is noted again.
constinit std::atomic<uint64_t> g_next_peak_bytes{kPeakStepBytes};
constinit CapacityPool g_pool;
// How many the pool is shared by: caches that are not lost. Off by one in a child that was forked
// by a handler in the middle of a birth or a death.
constinit std::atomic<int32_t> g_sharers{0};
constinit std::atomic<uint32_t> g_beats{0};
constinit std::atomic<bool> g_is_tight{false};

constexpr auto kFirstSlot = static_cast<uint32_t>(sizeof(ThreadCache) / sizeof(uintptr_t));
constexpr auto kEndSlot = static_cast<uint32_t>(kCacheBytes / sizeof(uintptr_t));
static_assert(sizeof(ThreadCache) % sizeof(uintptr_t) == 0);
// When the pops of a magazine leave its top, long before they would run over.
constexpr uint64_t kPopsMax = uint64_t{1} << 63;

// A block of the class lies in a slot as its address, so many bits lower.
unsigned slot_shift(ClassId id) { return shape_of(zone_kind_of(id)).step_shift; }

ClassId class_at(size_t index) { return ClassId{static_cast<uint8_t>(index)}; }

size_t bound_bytes() {
  const int32_t threads = g_sharers.load(std::memory_order_relaxed);
  const size_t bound = capacity_bound(options().magazine_total_bytes, slab_bytes(),
                                      threads > 0 ? static_cast<size_t>(threads) : 0);
  return g_is_tight.load(std::memory_order_relaxed) ? std::min(bound, kLeastBoundBytes) : bound;
}

size_t share_bytes(size_t bound) {
  const int32_t sharers = g_sharers.load(std::memory_order_relaxed);
  return fair_share(bound, sharers > 0 ? static_cast<size_t>(sharers) : 1);
}

size_t held_blocks(const ThreadCache& cache, ClassId id) {
  return size_t{cache.top_slot(magazine_of(id))} - cache.use[index_of(id)].base.get();
}

size_t take_for(ThreadCache& cache, ClassId id, void** blocks, size_t wanted) {
  const size_t count = take_blocks(id, blocks, wanted);
  cache.taken_bytes.add(static_cast<ptrdiff_t>(count * block_bytes_of(id)));
  return count;
}

void put_for(ThreadCache& cache, ClassId id, void* const* blocks, size_t count) {
  put_blocks(id, blocks, count);
  cache.taken_bytes.add(-static_cast<ptrdiff_t>(count * block_bytes_of(id)));
}

// Takes up to kBatchMax of the lowest blocks out of the magazine, then puts them back where they
// live; how many.
size_t put_back_lowest(ThreadCache& cache, ClassId id, size_t count) {
  void* batch[kBatchMax];
  ClassUse& use = cache.use[index_of(id)];
  const size_t held = held_blocks(cache, id);
  if (count > held) count = held;
  if (count > kBatchMax) count = kBatchMax;
  if (count == 0) return 0;
  uintptr_t* first = &cache.slot(use.base.get() + 1);
  const unsigned shift = slot_shift(id);
  for (size_t i = 0; i < count; ++i) batch[i] = reinterpret_cast<void*>(first[i] << shift);
  memmove(first, first + count, (held - count) * sizeof *first);
  cache.set_top_slot(magazine_of(id), use.base.get() + (held - count));
  use.flushes.add(1);
  put_for(cache, id, batch, count);
  return count;
}

void put_back_all(ThreadCache& cache, ClassId id) {
  while (put_back_lowest(cache, id, kBatchMax) != 0) {
  }
}

// Moves the magazine to an array of `slots`, 0: to none; what does not fit must have been put back
// before, and what it grows by drawn from the pool. What it shrinks by goes back there.
void resize(ThreadCache& cache, ClassId id, uint32_t slots) {
  ClassUse& use = cache.use[index_of(id)];
  const size_t magazine = magazine_of(id);
  const size_t block_bytes = block_bytes_of(id);
  const uint32_t old_base = use.base.get();
  const uint32_t old_slots = use.slots.get();
  const size_t held = held_blocks(cache, id);
  uintptr_t* const record = &cache.slot(0);
  uint32_t base = 0;
  if (slots != 0) {
    base = cache.space.take(record, slots, kFirstSlot, kEndSlot);
    EP_CHECK(base != 0);
    record[base] = 0;
    memcpy(record + base + 1, record + old_base + 1, held * sizeof *record);
  }
  const uint32_t capacity = capacity_of(slots, block_bytes);
  use.base.set(base);
  use.slots.set(slots);
  cache.set_top_slot(magazine, base + held);
  cache.limit[magazine] = static_cast<uint16_t>(base + capacity);
  const size_t bytes = capacity * block_bytes;
  const size_t old_bytes = capacity_of(old_slots, block_bytes) * block_bytes;
  cache.capacity_bytes.set(cache.capacity_bytes.get() + bytes - old_bytes);
  if (old_bytes > bytes) g_pool.give(old_bytes - bytes);
  if (old_slots != 0) cache.space.give(record, old_base, old_slots);
}

void halve(ThreadCache& cache, ClassId id) {
  const uint32_t slots = cache.use[index_of(id)].slots.get();
  put_back_all(cache, id);
  resize(cache, id, slots > kSlotsMin ? slots / 2 : 0);
}

// Somebody was refused below its share, or the bound has fallen: a thread above its own share
// halves its largest magazines.
void shrink_to_share(ThreadCache& cache) {
  const size_t bound = bound_bytes();
  const size_t share = share_bytes(bound);
  if (cache.capacity_bytes.get() <= share) return;
  if (!g_pool.is_wanted() && g_pool.bytes() <= bound) return;
  while (cache.capacity_bytes.get() > share) {
    size_t largest = 0;
    size_t most_bytes = 0;
    for (size_t i = 0; i < kClasses; ++i) {
      const size_t block_bytes = kSizeClasses[i].block_bytes;
      const size_t bytes = capacity_of(cache.use[i].slots.get(), block_bytes) * block_bytes;
      if (bytes <= most_bytes) continue;
      largest = i;
      most_bytes = bytes;
    }
    halve(cache, class_at(largest));
  }
}

// Lets go of what had no event since the last time that this was done; events may be rare, hence by
// the helper's beat.
void rest(ThreadCache& cache) {
  const uint32_t beats = g_beats.load(std::memory_order_relaxed);
  if (EP_LIKELY(beats - cache.rested_beat < kIdleBeats)) return;
  const uint32_t events_since = cache.events - cache.rested_event;
  for (size_t i = 0; i < kClasses; ++i) {
    const ClassUse& use = cache.use[i];
    if (use.slots.get() == 0 || cache.events - use.last_event < events_since) continue;
    put_back_all(cache, class_at(i));
    resize(cache, class_at(i), 0);
  }
  cache.runs_are_idle =
      cache.runs.held_granules() != 0 && cache.runs.served() == cache.runs_served_at_rest;
  cache.runs_served_at_rest = cache.runs.served();
  cache.rested_beat = beats;
  cache.rested_event = cache.events;
}

// Empties and halves what was not used for a while.
void tick(ThreadCache& cache) {
  cache.next_tick = cache.events + kTickEvents;
  shrink_to_share(cache);
  for (size_t i = 0; i < kClasses; ++i) {
    ClassUse& use = cache.use[i];
    if (use.slots.get() == 0 || cache.events - use.last_event < kIdleEvents) continue;
    halve(cache, class_at(i));
    use.last_event = cache.events;
  }
}

// Grows the magazine if it should and may.
void grow(ThreadCache& cache, ClassId id, bool hot) {
  const size_t block_bytes = block_bytes_of(id);
  const size_t own_bytes = cache.capacity_bytes.get();
  const size_t budget_room = saturating_subtract(options().magazine_bytes, own_bytes);
  const uint32_t slots = cache.use[index_of(id)].slots.get();
  const uint32_t wanted = grown_slots(slots, hot, block_bytes, budget_room);
  if (wanted == slots || (wanted > freeing_slots(block_bytes) && is_freeing(cache))) return;
  const size_t bound = bound_bytes();
  const size_t added =
      (capacity_of(wanted, block_bytes) - capacity_of(slots, block_bytes)) * block_bytes;
  const bool within_share = own_bytes + added <= share_bytes(bound);
  if (!within_share && g_pool.is_wanted()) return;
  if (added <= g_pool.room_bytes(own_bytes, bound) && g_pool.draw(added, own_bytes, bound)) {
    if (within_share) g_pool.answer();
    return resize(cache, id, wanted);
  }
  if (within_share) g_pool.want();
}

// Lets go of the magazine that was longest without an event, if that is long enough ago.
void evict_idlest(ThreadCache& cache) {
  size_t idlest = kClasses;
  uint32_t longest = kHotEvents;
  for (size_t i = 0; i < kClasses; ++i) {
    const uint32_t idle = cache.events - cache.use[i].last_event;
    if (cache.use[i].slots.get() == 0 || idle <= longest) continue;
    idlest = i;
    longest = idle;
  }
  if (idlest == kClasses) return;
  put_back_all(cache, class_at(idlest));
  resize(cache, class_at(idlest), 0);
}

// Before they run over. Who reads both meanwhile counts them twice or not at all.
void move_pops(ThreadCache& cache, ClassId id) {
  OwnerCell<uint64_t>& top = cache.top[magazine_of(id)];
  if (EP_LIKELY(top.get() < kPopsMax)) return;
  cache.use[index_of(id)].popped.add(static_cast<ptrdiff_t>(top.get() >> ThreadCache::kPopsShift));
  top.set(top.get() & UINT16_MAX);
}

// Counts a miss or an overflow and lets the magazine grow; its capacity, 0 where the thread's
// budget, or what it may draw of the process', is used up.
uint32_t note_event(ThreadCache& cache, ClassId id) {
  ClassUse& use = cache.use[index_of(id)];
  ++cache.events;
  const bool hot = cache.events - use.last_event < kHotEvents;
  use.last_event = cache.events;
  move_pops(cache, id);
  if (cache.events - cache.next_tick < UINT32_MAX / 2) tick(cache);
  rest(cache);
  grow(cache, id, hot);
  if (use.slots.get() == 0) {
    evict_idlest(cache);
    grow(cache, id, hot);
  }
  return capacity_of(use.slots.get(), block_bytes_of(id));
}

// Empties the magazine; it is not larger than who is freeing needs then.
void empty_for_freeing(ThreadCache& cache, ClassId id) {
  put_back_all(cache, id);
  const uint32_t slots = freeing_slots(block_bytes_of(id));
  if (cache.use[index_of(id)].slots.get() > slots) resize(cache, id, slots);
}

// In a full magazine; or there is none any more.
void make_room(ThreadCache& cache, ClassId id, uint32_t capacity) {
  if (is_freeing(cache)) return empty_for_freeing(cache, id);
  const size_t count = put_back_lowest(cache, id, refill_batch(capacity));
  cache.freed_in_a_row_bytes += count * block_bytes_of(id);
  if (!is_freeing(cache)) return;
  for (size_t i = 0; i < kClasses; ++i) {
    if (cache.use[i].slots.get() != 0) empty_for_freeing(cache, class_at(i));
  }
}

void add_history(const ThreadCache& cache) EP_REQUIRES(g_registry.lock) {
  for (size_t i = 0; i < kClasses; ++i) {
    ClassHistory& history = g_history[i];
    history.requests += cache.requests(class_at(i));
    history.missed += cache.use[i].missed.get();
    history.refills += cache.use[i].refills.get();
    history.flushes += cache.use[i].flushes.get();
    cache.use[i].pattern.add_to(&history.pattern);
  }
}

// What no cache of the list has counted.
void start_sum(size_t index, MagazineStats* sum) EP_REQUIRES(g_registry.lock) {
  const ClassHistory& history = g_history[index];
  const uint64_t uncached = g_uncached[index].load(std::memory_order_relaxed);
  sum->requests = history.requests + uncached;
  sum->missed = history.missed + uncached;
  sum->refills = history.refills;
  sum->flushes = history.flushes;
}

void add_cache(const ThreadCache& cache, size_t index, bool is_lost, MagazineStats* sum) {
  const ClassUse& use = cache.use[index];
  sum->requests += cache.requests(class_at(index));
  sum->missed += use.missed.peek();
  sum->refills += use.refills.peek();
  sum->flushes += use.flushes.peek();
  uint64_t& blocks = is_lost ? sum->lost_blocks : sum->cached_blocks;
  blocks += cache.cached_blocks(class_at(index));
}

uint64_t cached_bytes_of(const ThreadCache& cache) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < kClasses; ++i) {
    bytes += cache.cached_blocks(class_at(i)) * block_bytes_of(class_at(i));
  }
  return bytes;
}

// What lies outside of slabs: in magazines and with the program.
uint64_t out_bytes() EP_REQUIRES(g_registry.lock) {
  uint64_t taken_bytes =
      g_registry.taken_bytes + g_uncached_taken_bytes.load(std::memory_order_relaxed);
  for (const ThreadCache* cache = g_registry.caches.front(); cache != nullptr;
       cache = CacheList::next(cache)) {
    taken_bytes += cache->taken_bytes.peek();
  }
  // Threads at work were read at different moments: what does not fit is cut.
  return static_cast<int64_t>(taken_bytes) < 0 ? 0 : taken_bytes;
}

SlabPeak look_at_slabs(uint64_t now_bytes) EP_REQUIRES(g_registry.lock) {
  const uint64_t now_out_bytes = out_bytes();
  SlabPeak peak;
  peak.slab_bytes = now_bytes;
  for (const ThreadCache* cache = g_registry.caches.front(); cache != nullptr;
       cache = CacheList::next(cache)) {
    peak.cached_bytes += cached_bytes_of(*cache);
  }
  peak.cached_bytes = std::min({peak.cached_bytes, now_out_bytes, now_bytes});
  peak.live_bytes = std::min(now_out_bytes, now_bytes) - peak.cached_bytes;
  peak.most_live_bytes = std::max(peak.live_bytes, g_registry.slab_peak.most_live_bytes);
  return peak;
}

// Whoever finds the lock taken leaves it to the next refill.
EP_NOINLINE void note_slab_peak(uint64_t now_bytes) {
  if (!g_registry.lock.try_lock()) return;
  if (now_bytes > g_registry.slab_peak.slab_bytes) {
    g_registry.slab_peak = look_at_slabs(now_bytes);
    // A look reads each thread's magazines: the more of them, the more has to grow for it.
    const int32_t threads = g_sharers.load(std::memory_order_relaxed);
    const uint64_t for_threads_bytes =
        threads > 0 ? uint64_t(threads) * kPeakStepPerThreadBytes : 0;
    const uint64_t step_bytes = std::max({now_bytes / 64, for_threads_bytes, kPeakStepBytes});
    g_next_peak_bytes.store(now_bytes + step_bytes, std::memory_order_relaxed);
  }
  g_registry.lock.unlock();
}

}  // namespace

constinit ThreadCache g_vacant_cache;

void bound_magazines_tightly(bool tightly) { g_is_tight.store(tightly, std::memory_order_relaxed); }

uint64_t slab_room_bytes() {
  const uint64_t quarters_bytes = quarter_stats().free_bytes;
  LockGuard guard(g_registry.lock);
  return saturating_subtract(slab_bytes(), out_bytes()) + quarters_bytes;
}

size_t thread_share_bytes() { return share_bytes(bound_bytes()); }

bool is_freeing(const ThreadCache& cache) { return cache.freed_in_a_row_bytes > kFreeingBytes; }

void* refill_and_pop(ThreadCache& cache, ClassId id, size_t bytes) {
  ClassUse& use = cache.use[index_of(id)];
  const uint32_t capacity = note_event(cache, id);
  void* batch[kBatchMax];
  // Without an array one block at a time.
  const size_t wanted = capacity == 0 ? 1 : refill_batch(capacity);
  const size_t count = take_for(cache, id, batch, wanted);
  if (count == 0) return nullptr;
  cache.freed_in_a_row_bytes = 0;
  use.missed.add(1);
  use.refills.add(1);
  use.pattern.record(id, bytes, static_cast<uint32_t>(count));
  // Upside down: the lowest address is handed out first.
  const size_t top = cache.top_slot(magazine_of(id));
  const unsigned shift = slot_shift(id);
  uintptr_t* slots = &cache.slot(top);
  for (size_t i = 1; i < count; ++i) slots[i] = address_of(batch[count - i]) >> shift;
  cache.set_top_slot(magazine_of(id), top + count - 1);
  const uint64_t now_bytes = slab_bytes();
  if (EP_UNLIKELY(now_bytes >= g_next_peak_bytes.load(std::memory_order_relaxed))) {
    note_slab_peak(now_bytes);
  }
  return batch[0];
}

void flush_and_push(ThreadCache& cache, ClassId id, void* block) {
  const uint32_t capacity = note_event(cache, id);
  if (capacity == 0) return put_for(cache, id, &block, 1);
  const size_t magazine = magazine_of(id);
  if (cache.top_slot(magazine) == cache.limit[magazine]) {
    make_room(cache, id, capacity);
    if (cache.use[index_of(id)].slots.get() == 0) return put_for(cache, id, &block, 1);
  }
  const size_t top = size_t{cache.top_slot(magazine)} + 1;
  cache.slot(top) = address_of(block) >> slot_shift(id);
  cache.set_top_slot(magazine, top);
}

void* take_one(ClassId id) {
  void* block = nullptr;
  if (take_blocks(id, &block, 1) == 0) return nullptr;
  g_uncached_taken_bytes.fetch_add(block_bytes_of(id), std::memory_order_relaxed);
  return block;
}

void put_one(ClassId id, void* block) {
  put_blocks(id, &block, 1);
  g_uncached_taken_bytes.fetch_sub(block_bytes_of(id), std::memory_order_relaxed);
}

ThreadCache* make_cache() {
  void* memory = nullptr;
  {
    LockGuard guard(g_registry.lock);
    memory = g_registry.spare.pop_front();
  }
  if (memory == nullptr) memory = meta_map(kCacheBytes);
  if (memory == nullptr) return nullptr;
  auto* cache = new (memory) ThreadCache;
  cache->magazine_by_bytes = kMagazineByBytes;
  cache->rested_beat = g_beats.load(std::memory_order_relaxed);
  g_sharers.fetch_add(1, std::memory_order_relaxed);
  LockGuard guard(g_registry.lock);
  cache->generation = g_registry.generation;
  g_registry.caches.push_front(cache);
  return cache;
}

void flush_all(ThreadCache& cache) {
  for (size_t i = 0; i < kClasses; ++i) {
    if (cache.use[i].slots.get() == 0) continue;
    put_back_all(cache, class_at(i));
    resize(cache, class_at(i), 0);
  }
}

void retire_cache(ThreadCache* cache) {
  EP_ASSERT(cache->runs.held() == 0);
  flush_all(*cache);
  g_sharers.fetch_sub(1, std::memory_order_relaxed);
  LockGuard guard(g_registry.lock);
  g_registry.caches.remove(cache);
  add_history(*cache);
  g_registry.taken_bytes += cache->taken_bytes.get();
  g_registry.runs_served += cache->runs.served();
  g_registry.spare.push_front(cache);
}

void magazine_stats(MagazineTable* table) {
  *table = {};
  table->capacity_bytes = g_pool.bytes();
  table->bound_bytes = bound_bytes();
  LockGuard guard(g_registry.lock);
  table->slab_peak = g_registry.slab_peak;
  table->runs_served = g_registry.runs_served;
  for (size_t i = 0; i < kClasses; ++i) start_sum(i, &table->classes[i]);
  for (const ThreadCache* cache = g_registry.caches.front(); cache != nullptr;
       cache = CacheList::next(cache)) {
    const bool is_lost = cache->generation != g_registry.generation;
    ++(is_lost ? table->lost_caches : table->caches);
    (is_lost ? table->lost_runs : table->held_runs) += cache->runs.held();
    (is_lost ? table->lost_run_bytes : table->held_run_bytes) +=
        cache->runs.held_granules() * kGranuleBytes;
    table->runs_served += cache->runs.served();
    for (size_t i = 0; i < kClasses; ++i) add_cache(*cache, i, is_lost, &table->classes[i]);
  }
}

void class_tuning(ClassId id, ClassTuning* tuning) {
  LockGuard guard(g_registry.lock);
  *tuning = {};
  tuning->pattern = g_history[index_of(id)].pattern;
  for (const ThreadCache* cache = g_registry.caches.front(); cache != nullptr;
       cache = CacheList::next(cache)) {
    const ClassUse& use = cache->use[index_of(id)];
    use.pattern.add_to(&tuning->pattern);
    if (cache->generation != g_registry.generation) continue;
    const uint64_t capacity = capacity_of(use.slots.peek(), block_bytes_of(id));
    if (capacity == 0) continue;
    const bool first = tuning->magazines++ == 0;
    tuning->capacity_blocks += capacity;
    tuning->capacity_blocks_max = std::max(tuning->capacity_blocks_max, capacity);
    tuning->capacity_blocks_min =
        first ? capacity : std::min(tuning->capacity_blocks_min, capacity);
  }
}

size_t live_caches() {
  LockGuard guard(g_registry.lock);
  size_t count = 0;
  for (const ThreadCache* cache = g_registry.caches.front(); cache != nullptr;
       cache = CacheList::next(cache)) {
    count += cache->generation == g_registry.generation;
  }
  return count;
}

void beat_magazines() {
  g_beats.fetch_add(1, std::memory_order_relaxed);
  // Who wanted room may sleep by now.
  g_pool.answer();
}

void count_uncached(ClassId id) {
  g_uncached[index_of(id)].fetch_add(1, std::memory_order_relaxed);
}

void threads_lock_for_fork() EP_NO_THREAD_SAFETY_ANALYSIS { g_registry.lock.lock_for_fork(); }

void threads_unlock_after_fork(bool in_child, ThreadCache* survivor) EP_NO_THREAD_SAFETY_ANALYSIS {
  if (in_child) {
    ++g_registry.generation;
    // What the lost caches could hold is nobody's: their blocks are.
    const bool has_cache = survivor != &g_vacant_cache;
    if (has_cache) survivor->generation = g_registry.generation;
    g_sharers.store(has_cache ? 1 : 0, std::memory_order_relaxed);
    g_pool.restart(survivor->capacity_bytes.get());
  }
  g_registry.lock.unlock_after_fork(in_child);
}

}  // namespace elasticpool
