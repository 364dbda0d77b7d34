// A thread's magazines: for each size class an array of blocks that only this thread touches.
//
// What it is    a stack of pointers a class. malloc pops, free pushes; when one is empty it is
//               filled, when it is full half of it is emptied, both in batches through percpu/.
// After         Bonwick and Adams, "Magazines and Vmem" (2001).
// Threads       the owner only. Other threads may peek() for statistics.
// Fast path     top[code] points behind the last block; the slot below the first holds nullptr, so
//               one load says both "which block" and "empty". Code 0, "no block starts here", has
//               a magazine that is always empty and always full: what goes wrong ends in the slow
//               path without a branch of its own.
// Invariant     base[code] <= top[code] - 1, top[code] <= limit[code]; slots are never shared.
// Vacant        a thread without a cache (not born yet, or dead) has g_vacant_cache: all magazines
//               empty and full, so there is no "initialised?" branch. Nobody writes to it.
// Fork          the child of a fork gives up the caches of its parent's other threads, with the
//               blocks in them: the kernel copies their pages at different moments, so a cache in
//               use may show a block in two slots. They stay on the list as what they have become,
//               lost, so that fork writes to none of them and statistics count them still: exactly
//               where their threads were at rest; else off by what those did while fork copied, and
//               a batch that was on its way between a magazine and the slabs is in neither.
// Capacities    the tuner (tuner.h) doubles what misses often and halves what is idle, within
//               MEMPOOL_MAGAZINE_BYTES for the thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/annotations.h"
#include "base/list.h"
#include "base/owner_cell.h"
#include "base/units.h"
#include "pagemap/zone.h"
#include "slab/size_classes.h"

namespace elasticpool {

// Block codes that have a magazine: 0 (none) and one for each class.
inline constexpr size_t kCodes = kClasses + 1;

struct ClassUse {
  OwnerCell<uint32_t> slots;    // capacity + 1 for the sentinel; 0: no array yet
  uint32_t last_event = 0;      // the cache's event count when this class last missed or overflowed
  OwnerCell<uint64_t> refills;  // batches taken
  OwnerCell<uint64_t> flushes;  // batches put back
  OwnerCell<uint64_t> missed;   // requests that found the magazine empty
};

struct ThreadCache {
  OwnerCell<void**> top[kCodes];
  void** limit[kCodes] = {};
  // Requests served, misses included.
  OwnerCell<uint64_t> requests[kCodes];

  OwnerCell<void**> base[kCodes];
  ClassUse use[kCodes];
  Link<ThreadCache> link;
  size_t capacity_bytes = 0;  // sum over the classes of capacity * block size
  uint32_t events = 0;        // misses and overflows so far
  uint32_t next_tick = 0;
  // Of its process, by the forks that led to it: see Registry. Guarded by the registry's lock.
  uint32_t generation = 0;

  // Any thread. While the owner moves the magazine to another array the bottom may be of one and
  // the top of the other: then it is some number from 0 to what either array holds.
  size_t cached_blocks(BlockCode code) const {
    void** const bottom = base[code].peek();
    void** const now = top[code].peek();
    const size_t slots = use[code].slots.peek();
    if (slots == 0 || now <= bottom) return 0;
    const auto held = static_cast<size_t>(now - bottom - 1);
    return held < slots ? held : slots - 1;
  }
};

extern ThreadCache g_vacant_cache;

// Fills the magazine of an empty class and pops one block of it; nullptr when the system refuses.
void* refill_and_pop(ThreadCache& cache, ClassId id);
// Makes room in a full magazine and pushes.
void flush_and_push(ThreadCache& cache, ClassId id, void* block);
// Without a cache: one block through percpu/.
void* take_one(ClassId id);
void put_one(ClassId id, void* block);

// A cache for a newborn thread; nullptr when the system refuses.
ThreadCache* make_cache();
// Puts all blocks back and lets go of the record.
void retire_cache(ThreadCache* cache);
// Puts all blocks back.
void flush_all(ThreadCache& cache);

struct MagazineStats {
  uint64_t requests = 0;
  uint64_t missed = 0;
  uint64_t refills = 0;
  uint64_t flushes = 0;
  uint64_t cached_blocks = 0;
  uint64_t lost_blocks = 0;  // in caches that a fork left behind
};
// The sums over all caches, dead and lost threads' included.
struct MagazineTable {
  MagazineStats classes[kClasses];
  uint64_t caches = 0;
  uint64_t lost_caches = 0;
};
// Exact while the owners do nothing; else each cell is of a moment of its own.
// Cost  one lock, which holds up births and deaths of threads; 3 KiB are read of each cache.
void magazine_stats(MagazineTable* table);
// Requests that were served without a cache.
void count_uncached(ClassId id);

void threads_lock_for_fork();
// In the child, `survivor` is the forking thread's cache (or the vacant one).
void threads_unlock_after_fork(bool in_child, ThreadCache* survivor);

}  // namespace elasticpool
