// See idle_memory.h.
#include "heap/idle_memory.h"

#include <errno.h>

#include <atomic>

#include "base/annotations.h"
#include "base/units.h"
#include "buddy/buddy.h"
#include "heap/boot.h"
#include "heap/heap.h"
#include "heap/thread.h"
#include "large/extents.h"
#include "magazine/thread_cache.h"
#include "os/libc_text.h"
#include "percpu/cpu_cache.h"
#include "pressure/caretaker.h"
#include "pressure/edge_work.h"
#include "pressure/governor.h"
#include "tune/options.h"

namespace elasticpool {
namespace {

// As many frames as would fit many slabs of which little is used.
constexpr uint64_t kSurplusBytes = 32 * kMiB;
constinit std::atomic<uint64_t> g_seen_surplus_bytes{0};

// More than any heap holds.
constexpr size_t kNoBound = size_t{1} << 60;

template <ZoneKind kKind>
constexpr WatchedTier frames_of() {
  return {[] { return buddy_free_bytes(kKind); }, [] { return buddy_least_free_bytes(kKind); },
          [] { return buddy_stats(kKind).regretted_bytes; },
          [](size_t keep_bytes) { return buddy_release_zone(kKind, keep_bytes); }};
}

constexpr WatchedTier kTiers[] = {
    frames_of<ZoneKind::kTiny>(), frames_of<ZoneKind::kSmall>(), frames_of<ZoneKind::kMedium>(),
    WatchedTier{[] { return size_t{large_stats().free_resident_bytes}; }, large_least_free_bytes,
                [] { return large_stats().regretted_bytes; }, large_release}};

void hold(bool holds) {
  const size_t retain_bytes = holds ? kNoBound : options().retain_bytes;
  buddy_set_retain(retain_bytes);
  large_set_retain(retain_bytes);
}

// Once a round of the helper.
void beat() {
  beat_magazines();
  governor_look();
}

}  // namespace

void watch_idle_memory() {
  set_caretaker_hooks({.tiers = kTiers,
                       .tier_count = 4,
                       .purge_settled = release_settled_slabs,
                       .hold = hold,
                       .bound_bytes = [] { return options().retain_bytes; },
                       .threads = live_caches,
                       .slab_room_bytes = slab_room_bytes,
                       .heap_bytes_min = [] { return options().helper_heap_bytes; },
                       .enter = [] { t_slot.dead = true; },
                       .beat = beat});
}

void note_surplus() {
  const uint64_t surplus_bytes = buddy_surplus_bytes();
  uint64_t seen_bytes = g_seen_surplus_bytes.load(std::memory_order_relaxed);
  // Others may have seen more than we have.
  if (EP_LIKELY(surplus_bytes < seen_bytes + kSurplusBytes)) return;
  // Whoever writes it first looks for all.
  if (!g_seen_surplus_bytes.compare_exchange_strong(seen_bytes, surplus_bytes,
                                                    std::memory_order_relaxed)) {
    return;
  }
  release_settled_slabs();
}

void heap_note_thread() {
  if (ensure_booted() && options().helper == HelperPolicy::kOn) caretaker_note_thread();
}

void heap_work_at_edge(const void* caller) {
  if (is_libc_text(caller)) return;
  const int saved_errno = errno;
  if (is_edge_work(kStartHelper)) caretaker_start_wanted();
  if (is_edge_work(kAskListeners)) governor_ask_listeners();
  errno = saved_errno;
}

void heap_note_join() { caretaker_note_end(1); }

}  // namespace elasticpool
