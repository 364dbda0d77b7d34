// The slow half of lock.h: waiting, waking, and the rank check.
#include "base/lock.h"

namespace elasticpool {
namespace {

constinit LockHooks g_hooks{nullptr, nullptr};

// Long enough for a critical section on another CPU, short enough not to burn a time slice.
constexpr int kSpins = 100;
constinit std::atomic<int> g_spins{kSpins};

void cpu_relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::atomic_signal_fence(std::memory_order_relaxed);
#endif
}

}  // namespace

constinit std::atomic<const void*> Lock::forking_thread_{nullptr};

void set_lock_hooks(const LockHooks& hooks) { g_hooks = hooks; }

void set_lock_spinning(bool spins) { g_spins.store(spins ? kSpins : 0, std::memory_order_relaxed); }

void Lock::lock_slow() {
  if (is_forking()) {
    ++borrowed_;
    return;
  }
  const uint32_t tag = holder_tag();
  for (int spins = g_spins.load(std::memory_order_relaxed); spins > 0; --spins) {
    uint32_t expected = 0;
    // order[lock]: as in lock().
    if (word_.load(std::memory_order_relaxed) == 0 &&
        word_.compare_exchange_weak(expected, tag, std::memory_order_acquire,
                                    std::memory_order_relaxed)) {
      return;
    }
    cpu_relax();
  }
  for (;;) {
    uint32_t seen = word_.load(std::memory_order_relaxed);
    if (seen == 0) {
      // Others may wait still: whoever has waited once takes it as awaited.
      // order[lock]: as in lock().
      if (word_.compare_exchange_weak(seen, tag | kAwaited, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
        return;
      }
      continue;
    }
    if ((seen & kAwaited) == 0 &&
        !word_.compare_exchange_weak(seen, seen | kAwaited, std::memory_order_relaxed,
                                     std::memory_order_relaxed)) {
      continue;
    }
    if (g_hooks.wait != nullptr) {
      g_hooks.wait(&word_, seen | kAwaited);
    } else {
      cpu_relax();
    }
  }
}

void Lock::lock_for_fork() EP_NO_THREAD_SAFETY_ANALYSIS {
  if ((word_.load(std::memory_order_relaxed) & ~kAwaited) == holder_tag()) return;
  // Without a look at the rank: an interrupted malloc may hold a higher one.
  take();
  taken_for_fork_ = true;
}

void Lock::unlock_after_fork(bool in_child) EP_NO_THREAD_SAFETY_ANALYSIS {
  if (!taken_for_fork_) return;
  taken_for_fork_ = false;
  if (in_child) {
    // Who waited is gone.
    count_released();
    word_.store(0, std::memory_order_relaxed);
  } else {
    unlock();
  }
}

void Lock::begin_fork() {
  forking_thread_.store(__builtin_thread_pointer(), std::memory_order_relaxed);
}

void Lock::end_fork() { forking_thread_.store(nullptr, std::memory_order_relaxed); }

void Lock::wake() {
  if (g_hooks.wake_one != nullptr) g_hooks.wake_one(&word_);
}

#if defined(EP_CHECKS_FULL)
namespace {
// One counter for each rank that this thread holds.
thread_local uint16_t t_held[kLockRanks];
}  // namespace

void Lock::check_rank() const {
  if (is_forking()) return;
  for (unsigned above = static_cast<unsigned>(rank_) + 1; above < kLockRanks; ++above) {
    EP_CHECK(t_held[above] == 0 && "locks are taken in rising rank");
  }
}

void Lock::count_held() const {
  if (!is_forking()) ++t_held[static_cast<unsigned>(rank_)];
}

void Lock::count_released() const {
  if (t_held[static_cast<unsigned>(rank_)] > 0) --t_held[static_cast<unsigned>(rank_)];
}
#endif

}  // namespace elasticpool
