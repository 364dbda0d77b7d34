// Who wants to know of pressure: the functions of ep_on_pressure().
//
// Threads    add(), remove(): any. tell(): one at a time (pressure/governor.h). A lock guards the
//            list (rank kPressure) and is not held while a function runs.
// Invariant  what remove() has taken out is not running when it returns, and will not run, unless
//            it is remove()'s own caller that runs it.
// Errors     as ep_on_pressure() and ep_off_pressure() say: numbers of errno.
// Fork       forget_teller(), in the child, which has one thread and may hold the lock: whoever was
//            telling is the parent's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/lock.h"

namespace elasticpool {

inline constexpr size_t kListenersMax = 16;

class PressureListeners {
 public:
  // `function` is an ep_pressure_callback: this layer does not know the public header.
  using Function = void (*)();
  using Call = void (*)(Function function, void* argument, const void* context);

  constexpr PressureListeners() = default;

  int add(Function function, void* argument);
  int remove(Function function, void* argument);
  bool any() const { return count_.load(std::memory_order_relaxed) != 0; }

  // Calls call(function, argument, context) for each, in the order in which they came; how many.
  size_t tell(Call call, const void* context);

  void forget_teller() EP_NO_THREAD_SAFETY_ANALYSIS { teller_ = 0; }

  void lock_for_fork() EP_NO_THREAD_SAFETY_ANALYSIS { lock_.lock_for_fork(); }
  void unlock_after_fork(bool in_child) EP_NO_THREAD_SAFETY_ANALYSIS {
    lock_.unlock_after_fork(in_child);
  }

 private:
  struct Listener {
    Function function = nullptr;
    void* argument = nullptr;
    bool operator==(const Listener&) const = default;
  };

  size_t find(const Listener& wanted) const EP_REQUIRES(lock_);
  bool begin(size_t index, Listener* listener);
  void end();
  void wait_for(const Listener& gone);

  Lock lock_{LockRank::kPressure};
  Listener list_[kListenersMax] EP_GUARDED_BY(lock_);
  // The one that runs, and on which thread (os/process.h); 0 while none runs.
  Listener running_ EP_GUARDED_BY(lock_);
  int teller_ EP_GUARDED_BY(lock_) = 0;
  // Where in list_ the next one to be told stands: others may be taken out meanwhile.
  size_t next_ EP_GUARDED_BY(lock_) = 0;
  std::atomic<size_t> count_{0};
  // Counts ends, for who waits for one.
  std::atomic<uint32_t> ends_{0};
};

}  // namespace elasticpool
