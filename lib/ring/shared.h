// A word in memory that other processes read and write, some of which cannot be trusted.
//
// What it is   std::atomic with the few operations that the ring needs, so that no change of shared
//              memory escapes the fail points of the tests (step.h).
// Threads      any, of any process.
// Invariants   lock-free and free of addresses: the word means the same in every process. A value
//              that was loaded is a claim of others until it has been checked.
// Orders       load_acquire/store_release pair with each other on the same word. change() is
//              seq_cst: the protocol (lib/ring/protocol.md) argues with one order of all changes
//              of ownership, and on x86-64 a locked instruction is that anyway.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/annotations.h"
#include "ring/step.h"

namespace elasticpool {

template <typename T>
class Shared {
 public:
  T load_relaxed() const { return value_.load(std::memory_order_relaxed); }
  // order[ring-word]: with store_release() and change() of the same word
  T load_acquire() const { return value_.load(std::memory_order_acquire); }
  // order[ring-change]: takes part in the one order of all changes
  T load_ordered() const { return value_.load(std::memory_order_seq_cst); }

  void store_relaxed(T value) {
    ring_step();
    value_.store(value, std::memory_order_relaxed);
  }
  void store_release(T value) {
    ring_step();
    // order[ring-word]: with load_acquire()
    value_.store(value, std::memory_order_release);
  }
  void store_ordered(T value) {
    ring_step();
    // order[ring-change]: with load_ordered()
    value_.store(value, std::memory_order_seq_cst);
  }

  // `expected` becomes `desired`, or nothing happens.
  bool change(T expected, T desired) {
    ring_step();
    // order[ring-change]: every change of ownership, in all of lib/ring/
    return value_.compare_exchange_strong(expected, desired, std::memory_order_seq_cst);
  }
  T take_and_set(T value) {
    ring_step();
    return value_.exchange(value, std::memory_order_seq_cst);  // order[ring-change]
  }
  T add(T value) {
    ring_step();
    return value_.fetch_add(value, std::memory_order_relaxed);
  }
  T add_ordered(T value) {
    ring_step();
    return value_.fetch_add(value, std::memory_order_seq_cst);  // order[ring-change]
  }
  T set_bits(T bits) {
    ring_step();
    return value_.fetch_or(bits, std::memory_order_seq_cst);  // order[ring-change]
  }
  T clear_bits(T bits) {
    ring_step();
    return value_.fetch_and(static_cast<T>(~bits),
                            std::memory_order_seq_cst);  // order[ring-change]
  }

  // For a futex.
  const T* address() const { return reinterpret_cast<const T*>(&value_); }

 private:
  std::atomic<T> value_;
  static_assert(std::atomic<T>::is_always_lock_free && sizeof(std::atomic<T>) == sizeof(T));
};

// Fences. The thread sanitizer knows none: there a word that nobody uses otherwise stands for them.
inline void full_fence() {
#if EP_THREAD_SANITIZER
  static std::atomic<int> word{0};
  word.fetch_add(1, std::memory_order_seq_cst);  // order[ring-fence]
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);  // order[ring-fence]
#endif
}
// What was done before stays before all stores that follow; what was loaded before, before all
// loads.
inline void release_fence() {
#if EP_THREAD_SANITIZER
  full_fence();
#else
  std::atomic_thread_fence(std::memory_order_release);  // order[ring-intent]
#endif
}
inline void acquire_fence() {
#if EP_THREAD_SANITIZER
  full_fence();
#else
  std::atomic_thread_fence(std::memory_order_acquire);  // order[ring-intent]
#endif
}

using SharedU64 = Shared<uint64_t>;
using SharedU32 = Shared<uint32_t>;

}  // namespace elasticpool
