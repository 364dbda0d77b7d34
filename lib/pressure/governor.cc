// See governor.h.
#include "pressure/governor.h"

#include <errno.h>

#include <algorithm>
#include <atomic>
#include <iterator>

#include "base/bits.h"
#include "base/busy_guard.h"
#include "base/held_memory.h"
#include "base/lock.h"
#include "base/text_writer.h"
#include "base/units.h"
#include "os/clock.h"
#include "os/output.h"
#include "os/thread.h"
#include "pressure/alerts.h"
#include "pressure/edge_work.h"
#include "pressure/tell_pace.h"

namespace elasticpool {
namespace {

constexpr uint64_t kSampleMs = 1000;
constexpr uint64_t kRefreshMs = 60000;
constexpr uint64_t kMostLookBytes = 64 * kMiB;
// What is asked for at once for the sake of what is coming: 16 MiB take some 4 ms, the listener's
// work included.
constexpr uint64_t kBiteShare = 64;
constexpr uint64_t kLeastBiteBytes = 4 * kMiB;
constexpr uint64_t kMostBiteBytes = 16 * kMiB;
// Before that nothing is opened: most processes stay small, start often, and some count their
// descriptors. A limit that leaves less room than that would be met in any case.
constexpr uint64_t kFirstLookBytes = 16 * kMiB;
// How exactly it is noticed that the heap has become notable.
constexpr uint64_t kLeastNoticeBytes = 4 * kMiB;
// Slabs are looked at where so large a share of what is wanted may be found there, and so much.
constexpr uint64_t kWorthShare = 64;
constexpr uint64_t kLeastWorthBytes = 1 * kMiB;
// Of MEMPOOL_LIMIT=cgroup, in per cent of the group's limit.
constexpr unsigned kGroupSoftPercent = 80;
constexpr unsigned kGroupHardPercent = 97;
// Of the hard limit, for slabs; at least kLeastReserveBytes.
constexpr uint64_t kReserveShare = 64;
// Of the heap, that listeners are asked for where memory is short by other people's word.
constexpr uint64_t kShortageShare = 32;
constexpr uint64_t kLeastReserveBytes = 512 * kKiB;

// Whoever looks owns it. Zero at first: no page, and no byte of the file, before the first sample.
constinit Forecaster g_forecaster = {};

class Governor {
 public:
  constexpr Governor() = default;

  void start(const GovernorSettings& settings, const GovernorHooks& hooks);
  void look(bool may_call);
  void ask_postponed();
  void refresh();
  void read_state(PressureState* state, uint64_t age_ms);
  void open_watch(PressureWatch* watch, PressureSources sources);
  void note_stall(PressureWatch* watch);
  bool heed(const PressureEvents& events, uint64_t* returned_bytes);
  void reset_in_child();

  void lock_for_fork() EP_NO_THREAD_SAFETY_ANALYSIS {
    limits_lock_.lock_for_fork();
    lock_.lock_for_fork();
    listeners.lock_for_fork();
  }
  void unlock_after_fork(bool in_child) EP_NO_THREAD_SAFETY_ANALYSIS {
    listeners.unlock_after_fork(in_child);
    lock_.unlock_after_fork(in_child);
    limits_lock_.unlock_after_fork(in_child);
    if (in_child) reset_in_child();
  }

  PressureListeners listeners;

 private:
  void look_now(uint64_t now_ms);
  uint64_t granted_since_last_look() const;
  void foresee(uint64_t now_ms);
  void follow_group_limit();
  uint64_t wanted_bytes(PressureLevel level) const;
  PressureLevel rise();
  uint64_t relieve(uint64_t wanted_bytes, uint64_t now_ms);
  uint64_t release_worthwhile_slabs(uint64_t wanted_bytes);
  uint64_t ask_listeners(uint64_t wanted_bytes, uint64_t now_ms);
  uint64_t ask_or_postpone(uint64_t wanted_bytes, uint64_t now_ms);
  void answer_shortage(bool is_by_service, uint64_t now_ms);
  uint64_t release_all_free();
  bool may_ask() const;
  void keep_soft_limit();
  void plan_next_look();
  void publish();

  PressureLadder ladder() const { return PressureLadder(settings_.levels_percent); }

  void open_limits();
  void refresh_limits(uint64_t now_ms);
  void read_limits(uint64_t granted_bytes);

  // Whoever looks owns all below but for what the locks guard.
  std::atomic<bool> busy_{false};
  GovernorSettings settings_;
  GovernorHooks hooks_ = {};
  PressureState now_;
  uint64_t soft_limit_bytes_ = UINT64_MAX;
  uint64_t planned_growth_bytes_ = 0;
  uint64_t sampled_ms_ = 0;
  uint64_t refreshed_ms_ = 0;
  TellPace tell_pace_;
  // The free blocks whose pages could not go, or have gone already.
  uint64_t settled_room_bytes_ = 0;
  bool is_open_ = false;  // the sources of limits
  bool has_warned_ = false;
  // What was seen before is the parent's. It is forgotten with the first sample: most children
  // become another program before.
  bool is_forked_ = false;
  bool is_thrifty_ = false;
  bool may_call_ = true;  // the program's functions, in this look
  // What listeners are to be asked for, outside of the request whose look, the last one, found it
  // wanting; and whether the look before had left something, too.
  uint64_t postponed_bytes_ = 0;
  bool was_postponed_ = false;

  // Apart from the rest, so that fork need not wait for listeners.
  Lock limits_lock_{LockRank::kPressure};
  MemoryLimits limits_ EP_GUARDED_BY(limits_lock_);
  Lock lock_{LockRank::kPressure};
  PressureState published_ EP_GUARDED_BY(lock_);
};

constinit Governor g_governor;

uint64_t reserve_of(uint64_t limit_bytes) {
  return std::max(limit_bytes / kReserveShare, kLeastReserveBytes);
}

void Governor::start(const GovernorSettings& settings, const GovernorHooks& hooks) {
  settings_ = settings;
  soft_limit_bytes_ = settings.soft_limit_bytes;
  hooks_ = hooks;
  now_.outlook = g_forecaster.outlook();
  if (settings.hard_limit_bytes != UINT64_MAX) {
    limit_held_memory(settings.hard_limit_bytes, reserve_of(settings.hard_limit_bytes));
  }
  if (settings.on) g_forecaster.configure(settings.method, settings.levels_percent);
  // Who has set a limit wants it to hold from the first byte on.
  const bool is_told = settings.limit_bytes != UINT64_MAX || settings.group_is_hard;
  if (settings.on && is_told) {
    open_limits();
    read_limits(0);
  }
  plan_next_look();
  publish();
}

void Governor::open_limits() {
  is_open_ = true;
  refreshed_ms_ = monotonic_ms();
  LockGuard guard(limits_lock_);
  limits_.open_sources(settings_.files, settings_.limit_bytes);
}

void Governor::refresh_limits(uint64_t now_ms) {
  refreshed_ms_ = now_ms;
  LockGuard guard(limits_lock_);
  limits_.refresh();
}

void Governor::read_limits(uint64_t granted_bytes) {
  {
    LockGuard guard(limits_lock_);
    now_.reading = limits_.read(held_bytes(), granted_bytes);
  }
  follow_group_limit();
}

uint64_t Governor::granted_since_last_look() const {
  const int64_t left = g_held_memory.until_look_bytes.load(std::memory_order_relaxed);
  const auto planned = static_cast<int64_t>(planned_growth_bytes_);
  return left < planned ? static_cast<uint64_t>(planned - left) : 0;
}

void Governor::look(bool may_call) {
  const BusyGuard guard(busy_);
  if (!guard.taken()) return;
  const int saved_errno = errno;
  may_call_ = may_call;
  look_now(monotonic_ms());
  may_call_ = true;
  errno = saved_errno;
}

void Governor::ask_postponed() {
  const BusyGuard guard(busy_);
  if (!guard.taken()) return;
  forget_edge_work(kAskListeners);
  if (postponed_bytes_ == 0) return;
  const int saved_errno = errno;
  const uint64_t gone_bytes = ask_listeners(postponed_bytes_, monotonic_ms());
  now_.last_returned_bytes += gone_bytes;
  now_.returned_bytes += gone_bytes;
  publish();
  errno = saved_errno;
}

void Governor::look_now(uint64_t now_ms) {
  ++now_.looks;
  was_postponed_ = postponed_bytes_ != 0;
  postponed_bytes_ = 0;
  const uint64_t granted_bytes = granted_since_last_look();
  if (granted_bytes != 0) hooks_.grown();
  if (settings_.on) {
    if (!is_open_) {
      open_limits();
    } else if (now_ms - refreshed_ms_ >= kRefreshMs) {
      refresh_limits(now_ms);
    }
    read_limits(granted_bytes);
    if (now_.reading.source != MemorySource::kNone) foresee(now_ms);
  }
  now_.held_bytes = held_bytes();
  now_.looked_ms = now_ms;
  // Before anything is done: what listeners allocate counts from here.
  plan_next_look();
  const PressureLevel before = now_.level;
  const PressureLevel level = rise();
  if (now_.reading.source != MemorySource::kNone) {
    publish();
    const bool is_high = level >= PressureLevel::kHigh;
    if (is_high || (level >= PressureLevel::kWarning && now_.outlook.alarm)) {
      relieve(wanted_bytes(level), now_ms);
    }
  }
  keep_soft_limit();
  publish();
  // At last: whoever is told may be slow.
  if (now_.level != before) alert_level(now_.level, now_.reading, now_ms);
}

// To leave kHigh; before that is reached, where it will be, to leave kWarning: a bite at a time, or
// whoever makes the heap grow would wait for all of it at once.
uint64_t Governor::wanted_bytes(PressureLevel level) const {
  constexpr PressureLevel kHigh = PressureLevel::kHigh;
  const MemoryReading& reading = now_.reading;
  const uint64_t wanted =
      level < kHigh ? 0
                    : ladder().wanted_bytes(kHigh, reading.expected_bytes(), reading.limit_bytes);
  if (!now_.outlook.alarm) return wanted;
  const uint64_t ahead_bytes =
      ladder().wanted_bytes(PressureLevel::kWarning, reading.used_bytes, reading.limit_bytes);
  const uint64_t bite_bytes =
      std::clamp(reading.limit_bytes / kBiteShare, kLeastBiteBytes, kMostBiteBytes);
  return std::max(wanted, std::min(ahead_bytes, wanted + bite_bytes));
}

void Governor::foresee(uint64_t now_ms) {
  const PressureSample sample = {.now_ms = now_ms,
                                 .used_bytes = now_.reading.used_bytes,
                                 .limit_bytes = now_.reading.limit_bytes,
                                 .live_bytes = held_bytes(),
                                 .allocated_bytes = 0,
                                 .released_bytes = 0};
  if (now_ms - sampled_ms_ < kSampleMs) {
    if (!is_forked_ && g_forecaster.glance(sample)) now_.outlook = g_forecaster.outlook();
    return;
  }
  if (is_forked_) g_forecaster.reset();
  is_forked_ = false;
  sampled_ms_ = now_ms;
  g_forecaster.observe(sample);
  now_.outlook = g_forecaster.outlook();
  now_.is_forecast = true;
}

// MEMPOOL_LIMIT=cgroup: the group's limit is this heap's, less what is not of the heap in it. While
// another limit is nearer, that of the last time holds.
void Governor::follow_group_limit() {
  const MemoryReading& reading = now_.reading;
  if (!settings_.group_is_hard || !is_group(reading.source)) return;
  const uint64_t others_bytes = saturating_subtract(reading.used_bytes, held_bytes());
  const auto share = [&](unsigned percent) {
    return saturating_subtract(percent_of(reading.limit_bytes, percent), others_bytes);
  };
  soft_limit_bytes_ = std::min(settings_.soft_limit_bytes, share(kGroupSoftPercent));
  limit_held_memory(std::min(settings_.hard_limit_bytes, share(kGroupHardPercent)),
                    reserve_of(reading.limit_bytes));
}

// The level of what is used already is what is told; what is expected may ask for more to be done.
PressureLevel Governor::rise() {
  const MemoryReading& reading = now_.reading;
  // Where no limit is known, nothing is ever full.
  const bool is_limited = reading.source != MemorySource::kNone;
  const uint64_t limit_bytes = is_limited ? reading.limit_bytes : UINT64_MAX;
  const PressureLevel before = now_.level;
  now_.level = ladder().level_of(reading.used_bytes, limit_bytes, before);
  now_.highest = std::max(now_.highest, now_.level);
  if (now_.level != before) {
    ++now_.level_changes;
  }
  const PressureLevel expected =
      ladder().level_of(reading.expected_bytes(), limit_bytes, now_.level);
  const bool thrift = expected >= PressureLevel::kCritical;
  if (thrift != is_thrifty_) {
    is_thrifty_ = thrift;
    hooks_.set_thrift(thrift);
  }
  return std::max(expected, now_.level);
}

uint64_t Governor::relieve(uint64_t wanted_bytes, uint64_t now_ms) {
  // Others may use it, too: no more than there is.
  wanted_bytes = std::min(wanted_bytes, held_bytes());
  if (wanted_bytes == 0) return 0;
  uint64_t gone_bytes = hooks_.release_free(wanted_bytes);
  if (gone_bytes < wanted_bytes) gone_bytes += release_worthwhile_slabs(wanted_bytes - gone_bytes);
  if (gone_bytes < wanted_bytes && may_ask()) {
    gone_bytes += ask_or_postpone(wanted_bytes - gone_bytes, now_ms);
  }
  if (gone_bytes < wanted_bytes && now_.level == PressureLevel::kEmergency) {
    hooks_.release_own();
    gone_bytes += hooks_.release_free(wanted_bytes - gone_bytes);
  }
  now_.last_wanted_bytes = wanted_bytes;
  now_.last_returned_bytes = gone_bytes;
  now_.returned_bytes += gone_bytes;
  return gone_bytes;
}

// To look at every slab costs time: only where enough was freed since the last time.
uint64_t Governor::release_worthwhile_slabs(uint64_t wanted_bytes) {
  const uint64_t room_bytes = hooks_.slab_room_bytes();
  settled_room_bytes_ = std::min(settled_room_bytes_, room_bytes);
  const uint64_t worth_bytes = std::max(wanted_bytes / kWorthShare, kLeastWorthBytes);
  if (room_bytes - settled_room_bytes_ < worth_bytes) return 0;
  // What goes of slabs as a whole becomes free granules, where its neighbours are free as well.
  uint64_t gone_bytes = hooks_.release_slabs();
  settled_room_bytes_ = hooks_.slab_room_bytes();
  if (gone_bytes < wanted_bytes) gone_bytes += hooks_.release_free(wanted_bytes - gone_bytes);
  return gone_bytes;
}

// What the machine has left, and what the process has mapped, is less in a program's hands than the
// limit of its group: entries of a cache are not dropped for it before that is critical.
bool Governor::may_ask() const {
  const MemorySource source = now_.reading.source;
  return is_group(source) || source == MemorySource::kOption ||
         now_.level >= PressureLevel::kCritical;
}

// Not twice: nobody has come by an edge since, and the heap has grown.
uint64_t Governor::ask_or_postpone(uint64_t wanted_bytes, uint64_t now_ms) {
  if (may_call_ || was_postponed_) return ask_listeners(wanted_bytes, now_ms);
  if (!listeners.any()) return 0;
  postponed_bytes_ = wanted_bytes;
  want_edge_work(kAskListeners);
  return 0;
}

uint64_t Governor::ask_listeners(uint64_t wanted_bytes, uint64_t now_ms) {
  postponed_bytes_ = 0;
  const MemoryReading& reading = now_.reading;
  if (!listeners.any() || !tell_pace_.take(now_ms, reading.used_bytes, reading.limit_bytes)) {
    return 0;
  }
  struct Question {
    const PressureState& state;
    uint64_t wanted_bytes;
    const GovernorHooks& hooks;
  } question = {now_, wanted_bytes, hooks_};
  const WithoutCancellation guard;
  now_.told += listeners.tell(
      [](PressureListeners::Function function, void* argument, const void* context) {
        const auto& asked = *static_cast<const Question*>(context);
        asked.hooks.tell(function, argument, asked.state, asked.wanted_bytes);
      },
      &question);
  // What they freed may lie in this thread's magazines and in slabs, or be gone already: the tiers
  // give back at frees.
  uint64_t gone_bytes = hooks_.release_free(wanted_bytes);
  if (gone_bytes < wanted_bytes) gone_bytes += release_worthwhile_slabs(wanted_bytes - gone_bytes);
  return gone_bytes;
}

void Governor::keep_soft_limit() {
  const uint64_t soft_bytes = soft_limit_bytes_;
  if (soft_bytes == UINT64_MAX || held_bytes() <= soft_bytes) return;
  const uint64_t wanted_bytes = held_bytes() - soft_bytes;
  uint64_t gone_bytes = hooks_.release_free(wanted_bytes);
  if (gone_bytes < wanted_bytes) gone_bytes += release_worthwhile_slabs(wanted_bytes - gone_bytes);
  now_.returned_bytes += gone_bytes;
  if (gone_bytes >= wanted_bytes || has_warned_ || settings_.group_is_hard) return;
  has_warned_ = true;
  char text[160];
  TextWriter line(text, sizeof text);
  line.text("elasticpool: the heap holds ").decimal(held_bytes() / kMiB);
  line.text(" MiB, more than MEMPOOL_SOFT_LIMIT (").decimal(soft_bytes / kMiB);
  line.text(" MiB), and all of it is in use\n");
  write_stderr(line.data(), line.size());
}

void Governor::plan_next_look() {
  // Without a limit there may be one any time.
  uint64_t growth_bytes = is_open_ || !settings_.on ? kMostLookBytes : kFirstLookBytes;
  const MemoryReading& reading = now_.reading;
  if (reading.source != MemorySource::kNone) {
    growth_bytes = std::min(
        growth_bytes, ladder().next_look_bytes(reading.expected_bytes(), reading.limit_bytes));
  }
  const uint64_t soft_bytes = soft_limit_bytes_;
  if (soft_bytes != UINT64_MAX) {
    const uint64_t room_bytes = saturating_subtract(soft_bytes, held_bytes());
    growth_bytes = std::min(growth_bytes, std::max(room_bytes, soft_bytes / kReserveShare));
  }
  if (held_bytes() < settings_.notable_bytes) {
    const uint64_t room_bytes = settings_.notable_bytes - held_bytes();
    growth_bytes = std::min(growth_bytes, std::max(room_bytes, kLeastNoticeBytes));
  }
  planned_growth_bytes_ = growth_bytes;
  set_next_look(static_cast<int64_t>(growth_bytes));
}

void Governor::publish() {
  LockGuard guard(lock_);
  published_ = now_;
}

void Governor::refresh() {
  const BusyGuard guard(busy_);
  if (!guard.taken() || !is_open_) return;
  const int saved_errno = errno;
  refresh_limits(monotonic_ms());
  errno = saved_errno;
}

void Governor::open_watch(PressureWatch* watch, PressureSources sources) {
  if (!settings_.on) return watch->close();
  constexpr PressureLevel kLevelsAbove[] = {PressureLevel::kWarning, PressureLevel::kHigh,
                                            PressureLevel::kCritical, PressureLevel::kEmergency};
  uint64_t thresholds[std::size(kLevelsAbove)];
  PressureState seen;
  read_state(&seen, UINT64_MAX);
  if (seen.reading.source == MemorySource::kGroupV1) {
    std::transform(
        std::begin(kLevelsAbove), std::end(kLevelsAbove), thresholds,
        [&](PressureLevel level) { return ladder().line_bytes(level, seen.reading.limit_bytes); });
    sources.thresholds_bytes = thresholds;
  }
  // To close takes long where a trigger is armed: not under the lock.
  watch->close();
  ControlGroup group;
  LockGuard guard(limits_lock_);
  if (limits_.nearest_group(&group)) sources.group = &group;
  watch->open(sources);
}

void Governor::note_stall(PressureWatch* watch) {
  PressureStall stall;
  const bool is_known = watch->read_group_stall(&stall) || watch->read_system_stall(&stall);
  const BusyGuard guard(busy_);
  if (!guard.taken()) return;
  now_.is_stall_known = is_known;
  now_.stall_permyriad = stall.some_avg10_permyriad;
  publish();
}

bool Governor::heed(const PressureEvents& events, uint64_t* returned_bytes) {
  if (events == PressureEvents{} || !settings_.on) return true;
  if (events.lost) refresh();
  const BusyGuard guard(busy_);
  if (!guard.taken()) return false;
  const int saved_errno = errno;
  const uint64_t before_bytes = now_.returned_bytes;
  const bool is_short = events.service || events.group_stall || events.system_stall;
  const uint64_t now_ms = monotonic_ms();
  // Others may have filled the group while nobody looked.
  if (is_short || events.group_events || events.threshold) look_now(now_ms);
  if (is_short) answer_shortage(events.service, now_ms);
  errno = saved_errno;
  *returned_bytes = now_.returned_bytes - before_bytes;
  return true;
}

// On the helper: whoever wants a tier meanwhile gets it between two bites, and who makes the heap
// grow, and cannot look while we are at it, is looked after here.
uint64_t Governor::release_all_free() {
  static constinit std::atomic<uint32_t> g_never{0};
  uint64_t gone_bytes = 0;
  for (uint64_t most_bytes = held_bytes(); gone_bytes < most_bytes;) {
    const uint64_t bite_bytes = hooks_.release_free(kMostBiteBytes);
    gone_bytes += bite_bytes;
    if (bite_bytes < kMostBiteBytes) break;
    sleep_ms(1, g_never, 0);
    if (look_is_due()) look_now(monotonic_ms());
  }
  return gone_bytes;
}

void Governor::answer_shortage(bool is_by_service, uint64_t now_ms) {
  ++now_.shortages;
  uint64_t gone_bytes = release_all_free();
  gone_bytes += release_worthwhile_slabs(held_bytes());
  const uint64_t wanted_bytes = held_bytes() / kShortageShare;
  if (gone_bytes < wanted_bytes && (is_by_service || now_.level >= PressureLevel::kWarning)) {
    gone_bytes += ask_listeners(wanted_bytes - gone_bytes, now_ms);
  }
  now_.last_wanted_bytes = wanted_bytes;
  now_.last_returned_bytes = gone_bytes;
  now_.returned_bytes += gone_bytes;
  publish();
}

void Governor::read_state(PressureState* state, uint64_t age_ms) {
  uint64_t looked_ms = 0;
  {
    LockGuard guard(lock_);
    looked_ms = published_.looked_ms;
  }
  if (looked_ms == 0 || monotonic_ms() - looked_ms >= age_ms) look(true);
  LockGuard guard(lock_);
  *state = published_;
}

// One thread, which may have forked from a signal handler within a look: it takes no lock.
void Governor::reset_in_child() EP_NO_THREAD_SAFETY_ANALYSIS {
  reset_busy(busy_);
  listeners.forget_teller();
  limits_.after_fork_in_child();
  is_forked_ = true;
  postponed_bytes_ = 0;
  // There is no helper yet to ask.
  now_.is_stall_known = false;
  now_.stall_permyriad = 0;
}

}  // namespace

void governor_start(const GovernorSettings& settings, const GovernorHooks& hooks) {
  g_governor.start(settings, hooks);
}

void governor_look_within_request() { g_governor.look(false); }

void governor_look() { g_governor.look(true); }

void governor_ask_listeners() { g_governor.ask_postponed(); }

void governor_refresh() { g_governor.refresh(); }

void governor_open_watch(PressureWatch* watch, PressureSources sources) {
  g_governor.open_watch(watch, sources);
}

void governor_note_stall(PressureWatch* watch) { g_governor.note_stall(watch); }

bool governor_heed(const PressureEvents& events, uint64_t* returned_bytes) {
  return g_governor.heed(events, returned_bytes);
}

void governor_state(PressureState* state, uint64_t age_ms) { g_governor.read_state(state, age_ms); }

int governor_add_listener(PressureListeners::Function function, void* argument) {
  return g_governor.listeners.add(function, argument);
}

int governor_remove_listener(PressureListeners::Function function, void* argument) {
  return g_governor.listeners.remove(function, argument);
}

void governor_lock_for_fork() { g_governor.lock_for_fork(); }

void governor_unlock_after_fork(bool in_child) { g_governor.unlock_after_fork(in_child); }

}  // namespace elasticpool
