// What the heap holds of the system's memory, what it may hold, and a clock that runs in bytes.
//
// Held       granules of frames and of extents that may have pages: in use, or free and kept. At
//            most: a page that was never touched counts, too. Tables, magazines and block maps are
//            not in it (some per cent).
// Limit      charge() is refused where held would be over it (MEMPOOL_HARD_LIMIT). Slabs may go
//            over by the reserve, so that small blocks can still be had while a program unwinds
//            from a refusal.
// Byte clock each growth takes from what may be grown by until somebody looks at the limits of the
//            process (pressure/governor.h). A program that allocates 1 GB/s meets no poll in time.
// Threads    any, with any lock. Relaxed sums, which order nothing.
// Fork       the child goes on with its copy: its heap is a copy, too.
// Cost       charge(): two atomic additions for a growth, which costs page faults anyway.
//            look_is_due(): a load.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/annotations.h"

namespace elasticpool {

enum class Charge : uint8_t {
  kBlock,  // what a single request wants: not over the limit
  kSlab    // may take from the reserve
};

struct HeldMemory {
  std::atomic<uint64_t> bytes{0};
  // By kind of charge.
  std::atomic<uint64_t> limit_bytes[2] = {UINT64_MAX, UINT64_MAX};
  // Growth until the next look; negative: it is due.
  std::atomic<int64_t> until_look_bytes{INT64_MAX};
};
extern constinit HeldMemory g_held_memory;

inline uint64_t held_bytes() { return g_held_memory.bytes.load(std::memory_order_relaxed); }

// So much was grown: by charge(), or what had been counted as held gets its pages back.
inline void tick_growth(uint64_t bytes) {
  g_held_memory.until_look_bytes.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
}

// Without the clock: for who knows only afterwards how much of it was growth. False: over the
// limit, and nothing was charged.
inline bool charge_quietly(uint64_t bytes, Charge kind) {
  const uint64_t limit_bytes =
      g_held_memory.limit_bytes[static_cast<size_t>(kind)].load(std::memory_order_relaxed);
  if (EP_LIKELY(limit_bytes == UINT64_MAX)) {
    g_held_memory.bytes.fetch_add(bytes, std::memory_order_relaxed);
    return true;
  }
  // Nothing more is never too much: over the limit a block may still shrink, or lie where it lay.
  if (bytes == 0) return true;
  // What is refused must not be seen by others meanwhile: they would be refused, too.
  uint64_t before = held_bytes();
  do {
    if (bytes > limit_bytes || before > limit_bytes - bytes) return false;
  } while (!g_held_memory.bytes.compare_exchange_weak(before, before + bytes,
                                                      std::memory_order_relaxed));
  return true;
}

inline bool charge(uint64_t bytes, Charge kind) {
  if (!charge_quietly(bytes, kind)) return false;
  tick_growth(bytes);
  return true;
}

// Whether there is a limit at all.
inline bool is_held_limited() {
  return g_held_memory.limit_bytes[0].load(std::memory_order_relaxed) != UINT64_MAX;
}

// Without asking.
inline void correct_held(int64_t bytes) {
  g_held_memory.bytes.fetch_add(static_cast<uint64_t>(bytes), std::memory_order_relaxed);
}

// Pages went back.
inline void discharge(uint64_t bytes) {
  g_held_memory.bytes.fetch_sub(bytes, std::memory_order_relaxed);
}

inline bool look_is_due() {
  return g_held_memory.until_look_bytes.load(std::memory_order_relaxed) < 0;
}

// The next look comes after so much growth.
inline void set_next_look(int64_t growth_bytes) {
  g_held_memory.until_look_bytes.store(growth_bytes, std::memory_order_relaxed);
}

// What may be held at all, and what slabs may hold on top; UINT64_MAX: no limit.
void limit_held_memory(uint64_t limit_bytes, uint64_t reserve_bytes);

}  // namespace elasticpool
