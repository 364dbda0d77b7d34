// How large a magazine should be.
//
// Pure: numbers in, numbers out; no clock (time is counted in misses and overflows, and in beats of
// somebody else's clock), no lock.
//
// Growth    a class that misses or overflows twice within kHotEvents events of its thread doubles.
// Shrinking a class without an event for kIdleEvents of them is emptied and halved.
//           So is, where the helper beats the time, one without an event for kIdleBeats of its
//           beats: the thread has other things to do, or has slept meanwhile.
// Freeing   who has freed kFreeingBytes without a miss in between is past a peak: its magazines
//           shrink to freeing_slots(), enough for batches of blocks that are many. So a thread that
//           frees what it had and sleeps then hoards little.
// Bounds    a magazine holds at most kSlotsMax - 1 blocks and kMagazineBytesMax bytes (or
//           kBlocksMin blocks where those are larger); all of a thread's at most its budget; those
//           of all threads what capacity_pool.h says.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bits.h"
#include "base/units.h"

namespace elasticpool {

inline constexpr uint32_t kSlotsMin = 8;  // a cache line of pointers, one of them the sentinel
inline constexpr uint32_t kSlotsMax = 512;
inline constexpr size_t kMagazineBytesMax = 64 * kKiB;
inline constexpr uint32_t kBlocksMin = 2;
inline constexpr uint32_t kHotEvents = 64;
inline constexpr uint32_t kTickEvents = 256;
inline constexpr size_t kFreeingBytes = 4 * kMiB;
inline constexpr uint32_t kSlotsFreeing = 32;
inline constexpr size_t kFreeingBlockBytesMax = 1 * kKiB;
inline constexpr uint32_t kIdleEvents = 512;
// Two to four seconds: see pressure/caretaker.h.
inline constexpr uint32_t kIdleBeats = 2;

// Slots (a power of two, sentinel included) of a class's largest magazine.
constexpr uint32_t slots_max(size_t block_bytes) {
  const size_t blocks = kMagazineBytesMax / block_bytes;
  if (blocks >= kSlotsMax) return kSlotsMax;
  if (blocks <= kSlotsMin) return kSlotsMin;
  return static_cast<uint32_t>(size_t{1} << floor_log2(blocks));
}

// Blocks that a magazine of that many slots may hold. Large blocks use only a part of the first
// array, so that two threads do not hoard a slab each.
constexpr uint32_t capacity_of(uint32_t slots, size_t block_bytes) {
  if (slots == 0) return 0;
  const size_t by_bytes = kMagazineBytesMax / block_bytes;
  const size_t capacity = slots - 1;
  if (by_bytes >= capacity) return static_cast<uint32_t>(capacity);
  return by_bytes < kBlocksMin ? kBlocksMin : static_cast<uint32_t>(by_bytes);
}

// Slots after a miss or an overflow; 0: no magazine, one block at a time. `room_bytes`: what the
// thread's budget has left.
constexpr uint32_t grown_slots(uint32_t slots, bool hot, size_t block_bytes, size_t room_bytes) {
  if (slots == 0) {
    return capacity_of(kSlotsMin, block_bytes) * block_bytes <= room_bytes ? kSlotsMin : 0;
  }
  const uint32_t doubled = slots * 2;
  if (!hot || doubled > slots_max(block_bytes)) return slots;
  const size_t added_bytes =
      (capacity_of(doubled, block_bytes) - capacity_of(slots, block_bytes)) * block_bytes;
  return added_bytes <= room_bytes ? doubled : slots;
}

constexpr uint32_t freeing_slots(size_t block_bytes) {
  return block_bytes <= kFreeingBlockBytesMax ? kSlotsFreeing : kSlotsMin;
}

// Blocks that move between magazine and slabs at a time. Their pointers lie on the stack meanwhile,
// and a thread's stack may be 16 KiB.
inline constexpr uint32_t kBatchMax = 128;

// How many blocks a miss takes: half of the magazine, so that frees find room in the other half.
constexpr uint32_t refill_batch(uint32_t capacity) {
  if (capacity <= 2) return 1;
  return (capacity + 1) / 2 < kBatchMax ? (capacity + 1) / 2 : kBatchMax;
}

}  // namespace elasticpool
