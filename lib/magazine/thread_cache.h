// A thread's magazines: for each size class an array of blocks that only this thread touches.
//
// What it is    a stack of blocks a class. malloc pops, free pushes; when one is empty it is
//               filled, when it is full half of it is emptied, both in batches through percpu/.
// After         Bonwick and Adams, "Magazines and Vmem" (2001).
// Threads       the owner only. Other threads may peek() for statistics.
// Record        one mapping of kCacheBytes for all of a thread: this header, behind it the arrays.
//               Slots of 8 bytes, numbered from the record's start. A block lies in a slot as its
//               step (pagemap/block_cell.h): in the tiny zone that is its cell's address.
// Top           one word a magazine: its low 16 bits are the slot of the last block, the rest count
//               the pops so far. So a pop is one addition of kPop, and the count costs nothing. The
//               slot below the first block holds 0, so one load says both "which block" and
//               "empty".
// Vacant        slot 0 holds 0, and a magazine without an array has its top and its limit there:
//               it is empty and full. So has the whole of g_vacant_cache, which a thread without a
//               cache (not born yet, or dead) has: there is no "initialised?" branch. Nobody writes
//               to it.
// Invariant     with an array: base <= top's slot <= limit = base + capacity < base + slots; arrays
//               do not overlap.
// Fork          the child of a fork gives up the caches of its parent's other threads, with the
//               blocks in them: the kernel copies their pages at different moments, so a cache in
//               use may show a block in two slots. They stay on the list as what they have become,
//               lost, so that fork writes to none of them and statistics count them still: exactly
//               where their threads were at rest; else off by what those did while fork copied, and
//               a batch that was on its way between a magazine and the slabs is in neither.
// Capacities    the tuner (tuner.h) doubles what misses often and halves what is idle, within
//               MEMPOOL_MAGAZINE_BYTES for the thread, and for the process within what
//               capacity_pool.h says.
// Runs          besides, a thread has some buddy blocks at hand (run_slots.h, heap/runs.h). They
//               are its own as the magazines are: lost to the child of a fork, kept through sleep.
// Sleep         a thread that sleeps keeps what it has in its magazines: to take it away would cost
//               every malloc and free a check whether somebody does. It is bounded, not returned:
//               by the thread's budget, and together with all other threads' by the pool. What a
//               thread can do itself it does at its misses and overflows: classes that were idle
//               for kIdleBeats beats of the helper (2 to 3 s) are emptied, so one that wakes now
//               and then keeps what it uses then; and who only frees keeps little (tuner.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/annotations.h"
#include "base/bits.h"
#include "base/list.h"
#include "base/owner_cell.h"
#include "base/units.h"
#include "magazine/magazine_index.h"
#include "magazine/request_pattern.h"
#include "magazine/run_slots.h"
#include "magazine/slot_space.h"
#include "magazine/tuner.h"
#include "slab/size_classes.h"

namespace elasticpool {

struct ClassUse {
  OwnerCell<uint32_t> base;     // the slot below its magazine's first block
  OwnerCell<uint32_t> slots;    // of its array, `base` included; 0: no array
  uint32_t last_event = 0;      // the cache's event count when this class last missed or overflowed
  OwnerCell<uint64_t> refills;  // batches taken
  OwnerCell<uint64_t> flushes;  // batches put back
  OwnerCell<uint64_t> missed;   // requests that found the magazine empty
  OwnerCell<uint64_t> popped;   // pops that the top counts no more
  RequestPattern pattern;
};

struct ThreadCache {
  static constexpr unsigned kPopsShift = 16;
  // One pop more, one slot down.
  static constexpr uint64_t kPop = (uint64_t{1} << kPopsShift) - 1;

  uintptr_t nothing = 0;  // slot 0
  OwnerCell<uint64_t> top[kMagazines];
  uint16_t limit[kMagazines] = {};
  // kMagazineByBytes, at hand where the cache is; in the vacant cache all zero, a vacant magazine.
  std::array<uint8_t, kSmallBytesMax + 1> magazine_by_bytes = {};

  ClassUse use[kClasses];
  SlotSpace space;
  RunSlots runs;                     // heap/ fills and empties them
  bool runs_are_idle = false;        // it should empty them
  uint64_t runs_served_at_rest = 0;  // when that was last looked at
  Link<ThreadCache> link;
  OwnerCell<size_t> capacity_bytes;  // sum over the classes of capacity * block size
  uint32_t events = 0;               // misses and overflows so far
  uint32_t next_tick = 0;
  size_t freed_in_a_row_bytes = 0;  // by overflows since the last miss; see is_freeing()
  uint32_t rested_beat = 0;         // when idle classes were last looked for by the helper's beats,
  uint32_t rested_event = 0;        // and by events
  // Of its process, by the forks that led to it: see Registry. Guarded by the registry's lock.
  uint32_t generation = 0;
  // Bytes of blocks that this thread took out of slabs, less those it put back: modulo 2^64, as it
  // may have put back more than it took.
  OwnerCell<uint64_t> taken_bytes;

  EP_ALWAYS_INLINE uintptr_t& slot(size_t index) {
    return reinterpret_cast<uintptr_t*>(this)[index];
  }
  EP_ALWAYS_INLINE uint16_t top_slot(size_t magazine) const {
    return static_cast<uint16_t>(top[magazine].get());
  }
  void set_top_slot(size_t magazine, size_t slot) {
    top[magazine].set((top[magazine].get() & ~uint64_t{UINT16_MAX}) | slot);
  }

  // Any thread. While the owner moves the magazine to another array the bottom may be of one and
  // the top of the other: then it is some number from 0 to what either array holds.
  size_t cached_blocks(ClassId id) const {
    const ClassUse& its = use[index_of(id)];
    const size_t slot = static_cast<uint16_t>(top[magazine_of(id)].peek());
    const size_t base = its.base.peek();
    const size_t slots = its.slots.peek();
    if (slots == 0 || slot <= base) return 0;
    return slot - base < slots ? slot - base : slots - 1;
  }
  // Any thread. Those that the magazine served, and those that found it empty. Exact up to 2^48
  // requests in a row without a miss or an overflow.
  uint64_t requests(ClassId id) const {
    const ClassUse& its = use[index_of(id)];
    return (top[magazine_of(id)].peek() >> kPopsShift) + its.popped.peek() + its.missed.peek();
  }
};

// Room for every array that the classes can have at once, of all sizes.
constexpr size_t make_cache_bytes() {
  size_t slots = 0;
  for (const SizeClass& c : kSizeClasses) slots += size_t{2} * slots_max(c.block_bytes);
  return round_up(sizeof(ThreadCache) + slots * sizeof(uintptr_t), 16 * kKiB);
}
inline constexpr size_t kCacheBytes = make_cache_bytes();
static_assert(kCacheBytes / sizeof(uintptr_t) <= UINT16_MAX, "a slot's number has 16 bits");

extern ThreadCache g_vacant_cache;

// Fills the magazine of an empty class and pops one block of it, for a request of `bytes`; nullptr
// when the system refuses.
void* refill_and_pop(ThreadCache& cache, ClassId id, size_t bytes);
// Makes room in a full magazine and pushes.
void flush_and_push(ThreadCache& cache, ClassId id, void* block);
// What a thread may hold, of what all may.
size_t thread_share_bytes();
// Whether the thread has freed so much without a miss in between that it should hoard little.
bool is_freeing(const ThreadCache& cache);
// Without a cache: one block through percpu/.
void* take_one(ClassId id);
void put_one(ClassId id, void* block);

// A cache for a newborn thread; nullptr when the system refuses.
ThreadCache* make_cache();
// Puts all blocks back and lets go of the record; it holds no runs.
void retire_cache(ThreadCache* cache);
// Puts all blocks of magazines back.
void flush_all(ThreadCache& cache);

struct MagazineStats {
  uint64_t requests = 0;
  uint64_t missed = 0;
  uint64_t refills = 0;
  uint64_t flushes = 0;
  uint64_t cached_blocks = 0;
  uint64_t lost_blocks = 0;  // in caches that a fork left behind
};
// How full the slabs were when they took the most memory, in the sizes of their classes. Noted as a
// refill finds that they have grown by kPeakStepBytes or a 64th since the last time, whichever is
// more: so the highest peak is met up to that. Exact where one thread allocates; each other thread
// may be off by the batch that it was taking or putting back at the moment.
struct SlabPeak {
  uint64_t slab_bytes = 0;
  uint64_t live_bytes = 0;    // with the program
  uint64_t cached_bytes = 0;  // in magazines, those lost in forks included
  // The most that was live at any look, up to this one. Where most blocks were freed at random and
  // then slabs of another class were needed, little is live at the highest peak, and that was not
  // the fullest moment. (Measures 3 and 4 of Johnstone & Wilson, ISMM 1998.)
  uint64_t most_live_bytes = 0;
};
inline constexpr uint64_t kPeakStepBytes = 256 * kKiB;
// And by so much for each thread.
inline constexpr uint64_t kPeakStepPerThreadBytes = 16 * kKiB;

// The sums over all caches, dead and lost threads' included.
struct MagazineTable {
  MagazineStats classes[kClasses];
  uint64_t caches = 0;
  uint64_t lost_caches = 0;
  SlabPeak slab_peak;
  // Buddy blocks at hand of threads, lost in forks, and requests served by them.
  uint64_t held_runs = 0;
  uint64_t held_run_bytes = 0;
  uint64_t lost_runs = 0;
  uint64_t lost_run_bytes = 0;
  uint64_t runs_served = 0;
  uint64_t capacity_bytes = 0;  // what the magazines of living threads have room for
  uint64_t bound_bytes = 0;     // of that, but for the floors (capacity_pool.h)
};
// Exact while the owners do nothing; else each cell is of a moment of its own.
// Cost  one lock, which holds up births and deaths of threads; 5 KiB are read of each cache.
void magazine_stats(MagazineTable* table);

// What the tuner knows and has chosen for a class.
struct ClassTuning {
  uint64_t magazines = 0;        // threads that have one now
  uint64_t capacity_blocks = 0;  // of all of them
  uint64_t capacity_blocks_min = 0;
  uint64_t capacity_blocks_max = 0;
  PatternSum pattern;  // of dead and lost threads, too
};
// As exact as magazine_stats(). Cost  one lock, 100 bytes are read of each cache.
void class_tuning(ClassId id, ClassTuning* tuning);

// While memory is scarce all threads together may hold no more than one alone; who holds more
// shrinks at its next tick.
void bound_magazines_tightly(bool tightly);

// Free blocks in slabs and free quarters of granules, in bytes, whether their pages are there or
// have gone back; off by the batches that are on their way. Cost: one lock, a line of each cache,
// two more locks a node.
uint64_t slab_room_bytes();

// Threads that have a cache.
size_t live_caches();
// Time passes: the helper calls it once a round.
void beat_magazines();
// Requests that were served without a cache.
void count_uncached(ClassId id);

void threads_lock_for_fork();
// In the child, `survivor` is the forking thread's cache (or the vacant one).
void threads_unlock_after_fork(bool in_child, ThreadCache* survivor);

}  // namespace elasticpool
