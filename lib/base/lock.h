// The one lock of the project, and the order in which locks are taken.
//
// Threads    any. A waiter spins briefly, then sleeps through the hooks that os/ installs (a
//            futex); without hooks it spins on, which is right for unit tests of lower layers.
// Order      a thread takes locks only in rising rank (LockRank), several of one rank only in the
//            fixed order that fork uses; checked in builds with -Dchecks=full.
// Fork       all are taken in rank order before, and released after (heap/fork.cc).
// Cost       uncontended: one atomic exchange each way.
//
// After "Futexes are tricky" (Drepper, 2011), mutex2, with the holder in the word.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/annotations.h"
#include "base/check.h"

namespace elasticpool {

enum class LockRank : uint8_t {
  kBoot,      // heap/: one thread builds the heap
  kPressure,  // pressure/: who wants to know of it, and what is told
  kThreads,   // magazine/: the list of threads
  kCpu,       // percpu/: one CPU's current slabs
  kNode,      // percpu/: one class's partial slabs of a node
  kQuarter,   // slab/: free quarters of granules of one node in one zone
  kBuddy,     // buddy/: the frames of one node in one zone
  kLarge,     // large/: extents
  kZone,      // pagemap/: growth of a zone
  kMeta,      // os/: memory for our own records
};

inline constexpr unsigned kLockRanks = static_cast<unsigned>(LockRank::kMeta) + 1;

struct LockHooks {
  // Sleep while *word == value; may return early.
  void (*wait)(std::atomic<uint32_t>* word, uint32_t value);
  void (*wake_one)(std::atomic<uint32_t>* word);
};
void set_lock_hooks(const LockHooks& hooks);
// Whether a waiter spins before it sleeps; at first it does. With one CPU the holder cannot go on
// while somebody spins. Any thread, at any time.
void set_lock_spinning(bool spins);

class EP_CAPABILITY("mutex") Lock {
 public:
#if defined(EP_CHECKS_FULL)
  constexpr explicit Lock(LockRank rank) : rank_(rank) {}
#else
  // All zero, so that the many locks of the tables take no page until they are used.
  constexpr explicit Lock(LockRank /*rank*/) {}
#endif
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  void lock() EP_ACQUIRE() {
    check_rank();
    take();
  }

  bool try_lock() EP_TRY_ACQUIRE(true) {
    uint32_t expected = 0;
    // order[lock]: as in lock().
    if (!word_.compare_exchange_strong(expected, holder_tag(), std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
      return false;
    }
    check_rank();
    count_held();
    return true;
  }

  void unlock() EP_RELEASE() {
    if (EP_UNLIKELY(borrowed_ != 0) && is_forking()) {
      --borrowed_;
      return;
    }
    count_released();
    // order[lock]: publishes the critical section to the next holder.
    if (EP_UNLIKELY((word_.exchange(0, std::memory_order_release) & kAwaited) != 0)) wake();
  }

  // One after the other for every lock, in rank order; then begin_fork(). What this thread holds
  // already, in a malloc that the forking signal handler has interrupted, stays as it is: that
  // malloc goes on in both processes. (Such a handler in a process of several threads may wait for
  // ever, as POSIX lets it: the interrupted lock is out of the order.)
  void lock_for_fork();
  // After end_fork(), in both processes.
  void unlock_after_fork(bool in_child);

  // From here to end_fork() every lock counts as held by this thread, and stays held: handlers that
  // were registered before ours run now, and may allocate.
  static void begin_fork();
  static void end_fork();

 private:
  // The word is 0 or the holder's tag, with a bit for "somebody waits".
  static constexpr uint32_t kAwaited = 1;

  // The address of the thread's control block, which is a multiple of 64, so that bit 0 is free.
  // Only lock_for_fork() compares it; two threads whose blocks lie 64 GiB apart to the byte would
  // look alike to it.
  static uint32_t holder_tag() {
    return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(__builtin_thread_pointer()) >> 5) |
           0x80000000U;
  }
  static bool is_forking() {
    const void* thread = forking_thread_.load(std::memory_order_relaxed);
    return EP_UNLIKELY(thread != nullptr) && thread == __builtin_thread_pointer();
  }

  void take() {
    uint32_t expected = 0;
    // order[lock]: sees all that the last holder wrote before unlock().
    if (EP_UNLIKELY(!word_.compare_exchange_strong(
            expected, holder_tag(), std::memory_order_acquire, std::memory_order_relaxed))) {
      lock_slow();
    }
    count_held();
  }
  void lock_slow();
  void wake();
#if defined(EP_CHECKS_FULL)
  void check_rank() const;
  void count_held() const;
  void count_released() const;
#else
  void check_rank() const {}
  void count_held() const {}
  void count_released() const {}
#endif

  static std::atomic<const void*> forking_thread_;

  std::atomic<uint32_t> word_{0};
  bool taken_for_fork_ = false;
  // How often the forking thread, which holds it, has locked it again.
  uint8_t borrowed_ = 0;
#if defined(EP_CHECKS_FULL)
  LockRank rank_;
#endif
};

class EP_SCOPED_CAPABILITY LockGuard {
 public:
  explicit LockGuard(Lock& lock) EP_ACQUIRE(lock) : lock_(lock) { lock_.lock(); }
  ~LockGuard() EP_RELEASE() { lock_.unlock(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  Lock& lock_;
};

}  // namespace elasticpool
