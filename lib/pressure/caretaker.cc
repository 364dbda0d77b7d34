// See caretaker.h.
#include "pressure/caretaker.h"

#include <atomic>

#include "base/check.h"
#include "os/clock.h"
#include "os/thread.h"
#include "pressure/low_water.h"

namespace elasticpool {
namespace {

constexpr uint64_t kBusyRoundMs = 250;
constexpr uint64_t kQuietRoundMs = 500;
// Less than that, free in a tier, is not worth a system call.
constexpr size_t kRestBytes = size_t{1} << 20;
// Rounds in a row that find one thread, before the caretaker leaves.
constexpr unsigned kRoundsAlone = 2;

// Starts cost about as much as the program's own thread does. One that makes and joins a million
// does not pay for each: so many are free, and one more for so much time.
constexpr uint64_t kFreeStarts = 64;
constexpr uint64_t kMsPerStart = 100;

constinit CaretakerHooks g_hooks = {};
// Threads that the program has made so far.
constinit std::atomic<uint64_t> g_threads_made{0};
// The helper has been started, and unless it is told to stop it will look at g_threads_made before
// it ends.
constinit std::atomic<bool> g_running{false};
// 1: it is to end at once.
constinit std::atomic<uint32_t> g_stop{0};
// Guards what follows, starting and waiting: whoever does not get it leaves it to who has it.
constinit std::atomic<bool> g_busy{false};
// It was started, and nobody has waited for its end yet; read without the guard as well.
constinit std::atomic<bool> g_to_wait_for{false};
constinit uint64_t g_starts = 0;
constinit uint64_t g_first_start_ms = 0;

class BusyGuard {
 public:
  // order[caretaker-busy]: sees what the one before wrote.
  BusyGuard() : taken_(!g_busy.exchange(true, std::memory_order_acquire)) {}
  ~BusyGuard() {
    // order[caretaker-busy]: for the next.
    if (taken_) g_busy.store(false, std::memory_order_release);
  }
  BusyGuard(const BusyGuard&) = delete;
  BusyGuard& operator=(const BusyGuard&) = delete;
  bool taken() const { return taken_; }

 private:
  const bool taken_;
};

class Rounds {
 public:
  // Whether there was anything to watch.
  bool round() {
    const uint64_t now_ms = monotonic_ms();
    uint64_t regretted_bytes = 0;
    bool busy = false;
    for (size_t i = 0; i < g_hooks.tier_count; ++i) {
      const WatchedTier& tier = g_hooks.tiers[i];
      const size_t free_bytes = tier.free_bytes();
      busy = busy || free_bytes > kRestBytes;
      const size_t least_bytes = tier.least_free_bytes();
      const size_t idle_bytes = low_water_[i].observe(least_bytes, now_ms, patience_.ms());
      if (idle_bytes > kRestBytes && idle_bytes <= free_bytes) {
        tier.release(free_bytes - idle_bytes);
        tier.least_free_bytes();  // what went is no low water
      }
      regretted_bytes += tier.regretted_bytes();
    }
    patience_.observe(regretted_bytes, now_ms);
    // The pages of a slab go after one to two of these without a change.
    if (now_ms - settled_ms_ >= patience_.ms()) {
      settled_ms_ = now_ms;
      busy = g_hooks.purge_settled() > 0 || busy;
    }
    return busy;
  }

 private:
  LowWater low_water_[kWatchedTiersMax];
  Patience patience_;
  uint64_t settled_ms_ = 0;
};

// From here on the tiers' own bounds hold.
void let_go(size_t keep_bytes) {
  g_hooks.hold(false);
  for (size_t i = 0; i < g_hooks.tier_count; ++i) g_hooks.tiers[i].release(keep_bytes);
}

// Leaves unless a thread was made since `made` was read: its maker saw us running. False: stay.
bool leave(uint64_t made) {
  // order[caretaker]: who makes a thread counts it first, then looks whether we run.
  g_running.store(false, std::memory_order_seq_cst);
  // order[caretaker]: the other way round: one of the two sees the other.
  if (g_threads_made.load(std::memory_order_seq_cst) == made) return true;
  // Somebody else may be about to start another already.
  bool expected = false;
  return !g_running.compare_exchange_strong(expected, true, std::memory_order_relaxed);
}

void run() {
  Rounds rounds;
  unsigned alone = 0;
  while (g_stop.load(std::memory_order_relaxed) == 0) {
    const uint64_t made = g_threads_made.load(std::memory_order_relaxed);
    const bool busy = rounds.round();
    g_hooks.beat();
    alone = g_hooks.threads() > 1 ? 0 : alone + 1;
    if (alone >= kRoundsAlone) {
      // Nobody will come back for what is idle now.
      let_go(kRestBytes);
      if (leave(made)) return;
      g_hooks.hold(true);
      alone = 0;
    }
    sleep_ms(busy ? kBusyRoundMs : kQuietRoundMs, g_stop, 0);
  }
  let_go(g_hooks.bound_bytes());
  g_running.store(false, std::memory_order_relaxed);
}

bool may_start() {
  const uint64_t now_ms = monotonic_ms();
  if (g_starts == 0) g_first_start_ms = now_ms;
  if (g_starts >= kFreeStarts + (now_ms - g_first_start_ms) / kMsPerStart) return false;
  ++g_starts;
  return true;
}

}  // namespace

void set_caretaker_hooks(const CaretakerHooks& hooks) {
  EP_CHECK(hooks.tier_count <= kWatchedTiersMax);
  g_hooks = hooks;
}

void caretaker_note_thread() {
  if (g_hooks.tier_count == 0) return;
  // order[caretaker]: see leave().
  g_threads_made.fetch_add(1, std::memory_order_seq_cst);
  // order[caretaker]: see leave().
  if (g_running.load(std::memory_order_seq_cst)) return;
  const BusyGuard guard;
  if (!guard.taken() || !may_start()) return;
  bool expected = false;
  if (!g_running.compare_exchange_strong(expected, true, std::memory_order_relaxed)) return;
  if (g_to_wait_for.load(std::memory_order_relaxed)) wait_for_thread();
  g_stop.store(0, std::memory_order_relaxed);
  g_hooks.hold(true);
  const bool started = start_thread(run);
  g_to_wait_for.store(started, std::memory_order_relaxed);
  if (started) return;
  g_hooks.hold(false);
  g_running.store(false, std::memory_order_relaxed);
}

void caretaker_note_end(size_t threads_left) {
  if (!g_to_wait_for.load(std::memory_order_relaxed) || g_hooks.threads() > threads_left) return;
  const BusyGuard guard;
  if (!guard.taken() || !g_to_wait_for.load(std::memory_order_relaxed)) return;
  g_stop.store(1, std::memory_order_relaxed);
  wake_sleeper(g_stop);
  wait_for_thread();
  g_to_wait_for.store(false, std::memory_order_relaxed);
}

void caretaker_after_fork_in_child() {
  // The helper, and whoever was about to start or to wait for it, are the parent's.
  // Whatever g_running says: the kernel has copied our pages at different moments.
  if (g_hooks.tier_count != 0) g_hooks.hold(false);
  g_running.store(false, std::memory_order_relaxed);
  g_busy.store(false, std::memory_order_relaxed);
  g_to_wait_for.store(false, std::memory_order_relaxed);
}

}  // namespace elasticpool
