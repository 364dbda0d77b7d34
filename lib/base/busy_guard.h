// One at a time, and nobody waits: whoever does not get it leaves the work to who has it.
//
// Threads  any; a signal handler that interrupts the holder does not get it, as anybody.
// Fork     the child calls reset_busy(): the holder may have been another thread.
#pragma once

#include <atomic>

namespace elasticpool {

class BusyGuard {
 public:
  // order[busy]: sees what the one before wrote.
  explicit BusyGuard(std::atomic<bool>& busy)
      : busy_(busy), taken_(!busy.exchange(true, std::memory_order_acquire)) {}
  ~BusyGuard() {
    // order[busy]: for the next.
    if (taken_) busy_.store(false, std::memory_order_release);
  }
  BusyGuard(const BusyGuard&) = delete;
  BusyGuard& operator=(const BusyGuard&) = delete;
  bool taken() const { return taken_; }

 private:
  std::atomic<bool>& busy_;
  const bool taken_;
};

inline void reset_busy(std::atomic<bool>& busy) { busy.store(false, std::memory_order_relaxed); }

}  // namespace elasticpool
