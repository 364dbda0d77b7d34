// See caretaker.h.
#include "pressure/caretaker.h"

#include <algorithm>
#include <atomic>

#include "base/bits.h"
#include "base/busy_guard.h"
#include "base/check.h"
#include "base/held_memory.h"
#include "os/clock.h"
#include "os/process.h"
#include "os/thread.h"
#include "pressure/edge_work.h"
#include "pressure/governor.h"
#include "pressure/kernel_hints.h"
#include "pressure/low_water.h"

namespace elasticpool {

constinit std::atomic<uint32_t> g_caretaker_call{CaretakerCall::kBusy};

namespace {

using Call = CaretakerCall;

constexpr uint64_t kRoundMs = 1000;
// After so many in which nothing changed it sleeps until something does.
constexpr unsigned kQuietRounds = 60;
constexpr uint64_t kDeafMsMax = 60000;
// What goes back at once: meanwhile whoever wants frames waits for their lock.
constexpr size_t kBiteBytes = size_t{16} << 20;
constexpr uint64_t kPauseMs = 1;
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
// Guards what follows, starting and waiting: whoever does not get it leaves it to who has it.
constinit std::atomic<bool> g_busy{false};
// It was started, and nobody has waited for its end yet; read without the guard as well.
constinit std::atomic<bool> g_to_wait_for{false};
// It may sleep on descriptors, which the program may have closed: then it hears nobody.
constinit std::atomic<bool> g_sleeps_on_descriptors{false};
constinit uint64_t g_starts = 0;
constinit uint64_t g_first_start_ms = 0;

class Rounds {
 public:
  // Whether anything has changed since the round before.
  bool round() {
    const uint64_t now_ms = monotonic_ms();
    size_t free_bytes[kWatchedTiersMax];
    size_t idle_bytes[kWatchedTiersMax];
    uint64_t regretted_bytes = 0;
    for (size_t i = 0; i < g_hooks.tier_count; ++i) {
      const WatchedTier& tier = g_hooks.tiers[i];
      free_bytes[i] = tier.free_bytes();
      idle_bytes[i] = low_water_[i].observe(tier.least_free_bytes(), now_ms, patience_.ms());
      regretted_bytes += tier.regretted_bytes();
    }
    patience_.observe(regretted_bytes, now_ms);
    // The pages of a slab go after one to two of these without a change; what becomes free as a
    // whole by it has waited as long.
    if (now_ms - settled_ms_ >= patience_.ms()) {
      settled_ms_ = now_ms;
      g_hooks.purge_settled();
      for (size_t i = 0; i < g_hooks.tier_count; ++i) {
        const size_t now_free_bytes = g_hooks.tiers[i].free_bytes();
        idle_bytes[i] += saturating_subtract(now_free_bytes, free_bytes[i]);
        free_bytes[i] = now_free_bytes;
      }
    }
    for (size_t i = 0; i < g_hooks.tier_count; ++i) {
      if (idle_bytes[i] > kRestBytes && idle_bytes[i] <= free_bytes[i]) {
        give_back(i, free_bytes[i] - idle_bytes[i]);
      }
    }
    return note_change();
  }

 private:
  static void give_back(size_t index, size_t keep_bytes) {
    const WatchedTier& tier = g_hooks.tiers[index];
    // Others may free more meanwhile, which nobody has said should go.
    for (size_t rest_bytes = saturating_subtract(tier.free_bytes(), keep_bytes); rest_bytes != 0;) {
      rest_bytes -= std::min(rest_bytes, kBiteBytes);
      if (tier.release(keep_bytes + rest_bytes) == 0) break;
      if (rest_bytes != 0) sleep_ms(kPauseMs, g_caretaker_call, Call::kBusy);
    }
    tier.least_free_bytes();  // what went is no low water
  }

  bool note_change() {
    uint64_t now = held_bytes() + g_hooks.slab_room_bytes();
    for (size_t i = 0; i < g_hooks.tier_count; ++i) now = now * 31 + g_hooks.tiers[i].free_bytes();
    const bool changed = now != seen_;
    seen_ = now;
    return changed;
  }

  LowWater low_water_[kWatchedTiersMax];
  Patience patience_;
  uint64_t settled_ms_ = 0;
  // A sum of what the tiers have: it changes with them.
  uint64_t seen_ = 0;
};

// Whether the program has several: those that do not use the heap count as well.
bool has_threads(size_t of_our_own) {
  return g_hooks.threads() > 1 || thread_count() > 1 + of_our_own;
}

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

// What was heard and is not answered yet, as somebody was looking.
constinit PressureEvents g_unanswered = {};

// The bytes that went; none where there was nothing to answer, or it has to wait.
uint64_t answer(const PressureEvents& events) {
  uint64_t returned_bytes = 0;
  g_unanswered.add(events);
  if (governor_heed(g_unanswered, &returned_bytes)) g_unanswered = {};
  return returned_bytes;
}

// Whether somebody has called; else the kernel says that memory is short. What others do to the
// machine may go on for hours while there is nothing to give back: each hint that brings nothing
// doubles the time until the next one is heard.
bool sleep_for_long(uint64_t* deaf_ms) {
  arm_hints();
  // order[caretaker-asleep]: before anybody can call us from it.
  g_sleeps_on_descriptors.store(true, std::memory_order_release);
  uint32_t call = Call::kBusy;
  // order[caretaker-asleep]: whoever sees it knows what we sleep on.
  if (!g_caretaker_call.compare_exchange_strong(call, Call::kAsleep, std::memory_order_release,
                                                std::memory_order_relaxed)) {
    g_sleeps_on_descriptors.store(false, std::memory_order_relaxed);
    return true;
  }
  const PressureEvents events = sleep_on_hints(*deaf_ms, g_caretaker_call, Call::kAsleep);
  g_sleeps_on_descriptors.store(false, std::memory_order_relaxed);
  // Who could not wake us has let go.
  g_hooks.hold(true);
  call = Call::kAsleep;
  const bool was_called =
      !g_caretaker_call.compare_exchange_strong(call, Call::kBusy, std::memory_order_relaxed);
  const bool is_useful = answer(events) != 0 || g_unanswered != PressureEvents{};
  *deaf_ms = is_useful ? kRoundMs : std::min(*deaf_ms * 2, kDeafMsMax);
  return was_called;
}

void rest() { answer(rest_with_hints(kRoundMs, g_caretaker_call, Call::kBusy)); }

void work_until_told() {
  Rounds rounds;
  unsigned alone = 0;
  unsigned quiet = 0;
  uint64_t deaf_ms = kRoundMs;
  while (g_caretaker_call.load(std::memory_order_relaxed) != Call::kStop) {
    const uint64_t made = g_threads_made.load(std::memory_order_relaxed);
    quiet = rounds.round() ? 0 : quiet + 1;
    g_hooks.beat();
    answer({});  // what had to wait
    alone = has_threads(1) ? 0 : alone + 1;
    if (alone >= kRoundsAlone) {
      // Nobody will come back for what is idle now.
      let_go(kRestBytes);
      if (leave(made)) return;
      g_hooks.hold(true);
      alone = 0;
    }
    if (quiet < kQuietRounds) {
      rest();
    } else if (sleep_for_long(&deaf_ms)) {
      quiet = 0;
      deaf_ms = kRoundMs;
    } else {
      --quiet;  // the next round, if it finds nothing new either, is the last again
    }
  }
  let_go(g_hooks.bound_bytes());
  g_running.store(false, std::memory_order_relaxed);
}

void run() {
  g_hooks.enter();
  open_hints();
  work_until_told();
  // Whoever starts the next helper waits for our end first.
  close_hints();
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
  // order[caretaker]: see leave().
  g_threads_made.fetch_add(1, std::memory_order_seq_cst);
  caretaker_start();
}

void caretaker_start() {
  forget_edge_work(kStartHelper);
  if (g_hooks.tier_count == 0 || held_bytes() < g_hooks.heap_bytes_min()) return;
  // order[caretaker]: see leave().
  if (g_running.load(std::memory_order_seq_cst)) return;
  const BusyGuard guard(g_busy);
  if (!guard.taken() || !may_start()) return;
  bool expected = false;
  if (!g_running.compare_exchange_strong(expected, true, std::memory_order_relaxed)) return;
  if (g_to_wait_for.load(std::memory_order_relaxed)) wait_for_thread();
  g_caretaker_call.store(Call::kBusy, std::memory_order_relaxed);
  g_hooks.hold(true);
  const bool started = start_thread(run);
  g_to_wait_for.store(started, std::memory_order_relaxed);
  if (started) return;
  g_hooks.hold(false);
  g_running.store(false, std::memory_order_relaxed);
}

void caretaker_start_wanted() {
  if (has_threads(0)) return caretaker_start();
  forget_edge_work(kStartHelper);
}

void caretaker_want() {
  if (g_hooks.tier_count == 0 || g_running.load(std::memory_order_relaxed)) return;
  if (held_bytes() < g_hooks.heap_bytes_min() || !has_threads(0)) return;
  want_edge_work(kStartHelper);
}

void caretaker_wake() {
  uint32_t call = Call::kAsleep;
  // order[caretaker-asleep]: with what it sleeps on.
  if (!g_caretaker_call.compare_exchange_strong(call, Call::kBusy, std::memory_order_acquire,
                                                std::memory_order_relaxed)) {
    return;
  }
  // Until it comes back by itself the tiers' own bounds hold.
  if (!wake_helper(g_caretaker_call)) g_hooks.hold(false);
}

void caretaker_note_end(size_t threads_left) {
  if (!g_to_wait_for.load(std::memory_order_relaxed) || g_hooks.threads() > threads_left) return;
  const BusyGuard guard(g_busy);
  if (!guard.taken() || !g_to_wait_for.load(std::memory_order_relaxed)) return;
  // order[caretaker-asleep]: with what it sleeps on.
  g_caretaker_call.exchange(Call::kStop, std::memory_order_acquire);
  // order[caretaker-asleep]: whether it may be asleep, by whoever has called it before us, too.
  if (!g_sleeps_on_descriptors.load(std::memory_order_acquire)) {
    wake_sleeper(g_caretaker_call);
  } else if (!wake_helper(g_caretaker_call)) {
    return;  // it ends when it hears of it: nobody waits ten minutes for that
  }
  wait_for_thread();
  g_to_wait_for.store(false, std::memory_order_relaxed);
}

void caretaker_after_fork_in_child() {
  // The helper, and whoever was about to start or to wait for it, are the parent's.
  // Whatever g_running says: the kernel has copied our pages at different moments.
  if (g_hooks.tier_count != 0) g_hooks.hold(false);
  forget_edge_work(kStartHelper);
  g_running.store(false, std::memory_order_relaxed);
  g_caretaker_call.store(Call::kBusy, std::memory_order_relaxed);
  reset_busy(g_busy);
  g_to_wait_for.store(false, std::memory_order_relaxed);
}

}  // namespace elasticpool
