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

constinit CaretakerHooks g_hooks = {};
constinit std::atomic<bool> g_running{false};
// Threads that the program has made so far.
constinit std::atomic<uint64_t> g_threads_made{0};

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

  // The program is alone: nobody will come back for what is idle now.
  void give_all_back() {
    for (size_t i = 0; i < g_hooks.tier_count; ++i) g_hooks.tiers[i].release(kRestBytes);
  }

 private:
  LowWater low_water_[kWatchedTiersMax];
  Patience patience_;
  uint64_t settled_ms_ = 0;
};

// Leaves unless a thread was made since `made` was read: its maker saw us running. False: stay.
bool leave(uint64_t made) {
  // order[caretaker]: who makes a thread counts it first, then looks whether we run.
  g_running.store(false, std::memory_order_seq_cst);
  // order[caretaker]: the other way round: one of the two sees the other.
  if (g_threads_made.load(std::memory_order_seq_cst) == made) return true;
  // Somebody else may have started another already.
  bool expected = false;
  return !g_running.compare_exchange_strong(expected, true, std::memory_order_relaxed);
}

void run() {
  Rounds rounds;
  unsigned alone = 0;
  for (;;) {
    const uint64_t made = g_threads_made.load(std::memory_order_relaxed);
    const bool busy = rounds.round();
    alone = g_hooks.threads() > 1 ? 0 : alone + 1;
    if (alone >= kRoundsAlone) {
      rounds.give_all_back();
      g_hooks.hold(false);
      if (leave(made)) return;
      g_hooks.hold(true);
      alone = 0;
    }
    sleep_ms(busy ? kBusyRoundMs : kQuietRoundMs);
  }
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
  bool expected = false;
  // order[caretaker]: see leave().
  if (!g_running.compare_exchange_strong(expected, true, std::memory_order_seq_cst)) return;
  g_hooks.hold(true);
  if (start_thread("elasticpool", run)) return;
  g_hooks.hold(false);
  g_running.store(false, std::memory_order_relaxed);
}

void caretaker_after_fork_in_child() {
  if (!g_running.load(std::memory_order_relaxed)) return;
  g_hooks.hold(false);
  g_running.store(false, std::memory_order_relaxed);
}

}  // namespace elasticpool
