// See relief.h.
#include "heap/relief.h"

#include <algorithm>

#include "base/bits.h"
#include "buddy/buddy.h"
#include "heap/pressure_view.h"
#include "heap/runs.h"
#include "heap/thread.h"
#include "large/extents.h"
#include "magazine/thread_cache.h"
#include "os/libc_text.h"
#include "percpu/cpu_cache.h"
#include "pressure/alerts.h"
#include "tune/options.h"

extern "C" char** environ __attribute__((weak));

namespace elasticpool {
namespace {

size_t release_frames(ZoneKind kind, size_t wanted_bytes) {
  const size_t free_bytes = buddy_free_bytes(kind);
  return buddy_release_zone(kind, saturating_subtract(free_bytes, wanted_bytes));
}

// The longest pieces first: most bytes for one system call.
size_t release_free(size_t wanted_bytes) {
  const size_t free_bytes = large_stats().free_resident_bytes;
  // Keeping something, or the tier would forget what it knows of the program.
  size_t gone_bytes =
      large_release(std::max(saturating_subtract(free_bytes, wanted_bytes), kGranuleBytes));
  for (const ZoneKind kind : {ZoneKind::kMedium, ZoneKind::kSmall, ZoneKind::kTiny}) {
    if (gone_bytes >= wanted_bytes) break;
    gone_bytes += release_frames(kind, wanted_bytes - gone_bytes);
  }
  return gone_bytes;
}

void release_own() {
  ThreadCache& cache = this_cache();
  if (&cache == &g_vacant_cache) return;
  flush_all(cache);
  flush_runs(cache);
}

void note_growth() {
  if (options().helper == HelperPolicy::kOn) caretaker_want();
}

void set_thrift(bool is_thrifty) {
  buddy_allow_huge(!is_thrifty);
  bound_magazines_tightly(is_thrifty);
}

ForecastMethod method_of(ForecastPolicy policy) {
  switch (policy) {
    case ForecastPolicy::kLast:
      return ForecastMethod::kLast;
    case ForecastPolicy::kLinear:
      return ForecastMethod::kLinear;
    case ForecastPolicy::kOff:
    case ForecastPolicy::kMixed:
      break;
  }
  return ForecastMethod::kMixed;
}

uint64_t bytes_of_limit(uint64_t value) {
  return word_of_limit(value) == kChoiceWordsMax ? value : UINT64_MAX;
}

}  // namespace

void look_within_request() {
  // In a program that is linked with all of us no edge is known to be the program's own.
  can_tell_libc_text() ? governor_look_within_request() : governor_look();
}

void start_governor() {
  const Options& chosen = options();
  GovernorSettings settings;
  settings.on = chosen.forecast != ForecastPolicy::kOff && chosen.limit_bytes != kLimitOff;
  settings.limit_bytes = bytes_of_limit(chosen.limit_bytes);
  settings.group_is_hard = chosen.limit_bytes == kLimitOfGroup;
  settings.soft_limit_bytes = bytes_of_limit(chosen.soft_limit_bytes);
  settings.hard_limit_bytes = bytes_of_limit(chosen.hard_limit_bytes);
  if (chosen.helper == HelperPolicy::kOn) settings.notable_bytes = chosen.helper_heap_bytes;
  settings.method = method_of(chosen.forecast);
  std::copy(chosen.pressure_levels.percents, chosen.pressure_levels.percents + kLevelCount,
            settings.levels_percent);
  set_alert_target(chosen.alert, &environ);
  governor_start(settings, {release_free, release_slabs, slab_room_bytes, release_own, set_thrift,
                            tell_listener, note_growth});
}

}  // namespace elasticpool
