// What the magazines of all threads together may hold.
//
// What it is   the sum of the capacities of all magazines, in bytes. Capacities and not contents:
//              those change with every request, and nobody but the owner may add them up.
// Bound        MEMPOOL_MAGAZINE_TOTAL, else the larger of 2 % of the slabs and 1 MiB with 1 MiB a
//              thread, the latter up to 16 MiB. A thread that wants more draws it here, and is
//              refused what would go over the bound. (With 1 MiB eight threads at work came to take
//              single blocks under locks: larson took seven times as long, mstress 1.7.)
// Floor        up to kFloorBytes a thread gets whatever the others have: without a magazine every
//              request takes a lock. So what lies in magazines is at most bound + kFloorBytes a
//              thread, and that much only where the threads that drew first sleep.
// Share        bound / threads, at least the floor. Who is refused while below its share says so
//              (wanted); until somebody below his has drawn, or the helper beats, nobody grows
//              above his, and at their next tick threads above theirs shrink to it. A thread that
//              sleeps has no tick: it keeps what it has, and the bound counts it.
// A heap that shrinks lowers the bound: threads at work that are above their share shrink, too, and
//              nobody grows until they have.
// Threads      any. Relaxed: a sum orders nothing.
// Fork         restart(), in the child. A handler that forks in the middle of a resize leaves the
//              sum off by that magazine, at most kMagazineBytesMax; hence a signed sum.
// Cost         a magazine that changes its size: one atomic addition.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/bits.h"
#include "base/units.h"

namespace elasticpool {

// The smallest array of each class up to 256 bytes.
inline constexpr size_t kFloorBytes = 16 * kKiB;
inline constexpr size_t kLeastBoundBytes = 1 * kMiB;
inline constexpr size_t kBoundBytesPerThread = 1 * kMiB;
inline constexpr size_t kBoundBytesByThreadsMax = 16 * kMiB;
inline constexpr size_t kBoundDivisor = 50;

// `total_bytes`: of the option, 0 where the size of the slabs decides.
constexpr size_t capacity_bound(size_t total_bytes, size_t slab_bytes, size_t threads) {
  if (total_bytes != 0) return total_bytes;
  const size_t by_threads =
      std::min(kLeastBoundBytes + threads * kBoundBytesPerThread, kBoundBytesByThreadsMax);
  return std::max(by_threads, slab_bytes / kBoundDivisor);
}

constexpr size_t fair_share(size_t bound_bytes, size_t threads) {
  return std::max(kFloorBytes, bound_bytes / std::max(threads, size_t{1}));
}

class alignas(kCacheLineBytes) CapacityPool {
 public:
  constexpr CapacityPool() = default;

  // How much more a thread that has own_bytes may draw; others may be faster.
  size_t room_bytes(size_t own_bytes, size_t bound_bytes) const {
    return std::max(saturating_subtract(bound_bytes, bytes()),
                    saturating_subtract(kFloorBytes, own_bytes));
  }

  // False: nothing was drawn.
  bool draw(size_t bytes, size_t own_bytes, size_t bound_bytes) {
    const auto signed_bytes = static_cast<int64_t>(bytes);
    const int64_t before = sum_.fetch_add(signed_bytes, std::memory_order_relaxed);
    if (before + signed_bytes <= static_cast<int64_t>(bound_bytes)) return true;
    if (own_bytes + bytes <= kFloorBytes) return true;
    sum_.fetch_sub(signed_bytes, std::memory_order_relaxed);
    return false;
  }
  void give(size_t bytes) {
    sum_.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  }

  size_t bytes() const {
    const int64_t sum = sum_.load(std::memory_order_relaxed);
    return sum > 0 ? static_cast<size_t>(sum) : 0;
  }

  // Written only where it changes: all threads that are refused come here at every miss.
  void want() {
    if (!is_wanted()) wanted_.store(true, std::memory_order_relaxed);
  }
  bool is_wanted() const { return wanted_.load(std::memory_order_relaxed); }
  void answer() {
    if (is_wanted()) wanted_.store(false, std::memory_order_relaxed);
  }

  void restart(size_t bytes) {
    sum_.store(static_cast<int64_t>(bytes), std::memory_order_relaxed);
    answer();
  }

 private:
  std::atomic<int64_t> sum_{0};
  std::atomic<bool> wanted_{false};
};

}  // namespace elasticpool
