// See listeners.h.
#include "pressure/listeners.h"

#include <errno.h>

#include "os/clock.h"
#include "os/process.h"

namespace elasticpool {
namespace {

// Whoever waits is woken; this is only in case that the child of a fork lost who would do it.
constexpr uint64_t kPatienceMs = 100;

}  // namespace

size_t PressureListeners::find(const Listener& wanted) const {
  const size_t count = count_.load(std::memory_order_relaxed);
  for (size_t i = 0; i < count; ++i) {
    if (list_[i] == wanted) return i;
  }
  return count;
}

int PressureListeners::add(Function function, void* argument) {
  if (function == nullptr) return EINVAL;
  LockGuard guard(lock_);
  const size_t count = count_.load(std::memory_order_relaxed);
  if (find({function, argument}) != count) return EEXIST;
  if (count == kListenersMax) return ENOSPC;
  list_[count] = {function, argument};
  count_.store(count + 1, std::memory_order_relaxed);
  return 0;
}

int PressureListeners::remove(Function function, void* argument) {
  const Listener gone = {function, argument};
  {
    LockGuard guard(lock_);
    const size_t count = count_.load(std::memory_order_relaxed);
    const size_t index = find(gone);
    if (index == count) return ENOENT;
    for (size_t i = index + 1; i < count; ++i) list_[i - 1] = list_[i];
    count_.store(count - 1, std::memory_order_relaxed);
    if (index < next_) --next_;
  }
  wait_for(gone);
  return 0;
}

void PressureListeners::wait_for(const Listener& gone) {
  for (;;) {
    const uint32_t ends = ends_.load(std::memory_order_relaxed);
    {
      LockGuard guard(lock_);
      if (teller_ == 0 || running_ != gone || teller_ == thread_id()) return;
    }
    sleep_ms(kPatienceMs, ends_, ends);
  }
}

// The next one, which runs from now on; false: that were all.
bool PressureListeners::begin(size_t index, Listener* listener) {
  LockGuard guard(lock_);
  if (index == 0) next_ = 0;
  if (next_ >= count_.load(std::memory_order_relaxed)) return false;
  *listener = list_[next_++];
  running_ = *listener;
  teller_ = thread_id();
  return true;
}

void PressureListeners::end() {
  {
    LockGuard guard(lock_);
    teller_ = 0;
    ends_.fetch_add(1, std::memory_order_relaxed);
  }
  wake_sleeper(ends_);
}

size_t PressureListeners::tell(Call call, const void* context) {
  Listener listener;
  size_t told = 0;
  // Not those that come meanwhile: one that takes itself out and in again is told once.
  const size_t most = count_.load(std::memory_order_relaxed);
  while (told < most && begin(told, &listener)) {
    call(listener.function, listener.argument, context);
    end();
    ++told;
  }
  return told;
}

}  // namespace elasticpool
