// What is done about the limit that this process will meet: looks, decides, acts, tells.
//
// Two clocks    bytes: whoever has made the heap grow looks after each share of the room that is
//               left (base/held_memory.h), before the memory is touched: then it is too late to
//               ask whether it fits, so what is expected counts (os/memory_limits.h). Time: the
//               helper thread, where there is one, looks once a second (caretaker.h). A process
//               without threads has the first only. (What polls is too late for a program that
//               grows by 1 GB/s.)
// What is done  in this order, until enough has gone to leave the level kHigh, each with its price:
//                 kHigh       free frames and extents go back to the system
//                 kHigh       pages inside slabs on which only free blocks lie, where more blocks
//                             are free than were when they were looked at last
//                 kHigh       the program's listeners are asked (ep_on_pressure), and what they
//                             have freed goes back; within a request, at its edge where it is the
//                             program's own and no part of libc's (edge_work.h), else at that of
//                             the next such one, or when the heap has grown by a further share
//                 kCritical   threads may have less at hand; no more huge pages
//                 kEmergency  what this thread has at hand
//               kWarning is watched only.
// Forecast      a sample a second goes to forecast.h while anybody looks, and each look between
//               two of them a glance. Where it says that the third level will be crossed, the same
//               is done from kWarning on, a bite at each look, until that level is left.
// Shortage      what the kernel calls a stall, and what the service manager says, is no share of a
//               limit: all that is free goes, and listeners are asked for a share of the heap where
//               it was the service manager, or the level is kWarning at least. Once a second at
//               most. What a group counts (memory.events) only leads to a look: who writes files
//               meets his group's limit all the time, and the kernel takes its cache back.
// Soft limit    of what the heap holds: what is above goes back, as far as it can, and one line
//               says so once where that was not enough.
// Threads       any, with no lock of ours held. One looks at a time, the others do not wait for it.
//               What ep_pressure_get() reads lies behind a lock of rank kPressure.
// Re-entrance   a listener may allocate, free, and call what is in elasticpool/pressure.h: while it
//               runs nobody looks.
// Fork          the child begins anew: with its parent's sources and listeners, without its past.
// Off           with neither forecast nor limits it only says that the heap has grown.
// Cost          a look that finds nothing to do: some microseconds (os/memory_limits.h), and about
//               30 once a second for the forecast.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/annotations.h"
#include "os/memory_limits.h"
#include "os/memory_pressure.h"
#include "pressure/forecast.h"
#include "pressure/ladder.h"
#include "pressure/listeners.h"

namespace elasticpool {

struct PressureState {
  PressureLevel level = PressureLevel::kNone;
  MemoryReading reading;
  uint64_t held_bytes = 0;
  uint64_t looked_ms = 0;
  bool is_forecast = false;  // there was a sample
  Outlook outlook = {};
  // So far.
  uint64_t looks = 0;
  uint64_t returned_bytes = 0;
  uint64_t told = 0;  // listeners called
  uint64_t level_changes = 0;
  uint64_t shortages = 0;  // that the kernel or the service manager told of
  // In which somebody waited for memory, of the last ten seconds, in hundredths of a per cent: in
  // the group where that is known, else in the system.
  bool is_stall_known = false;
  uint64_t stall_permyriad = 0;
  uint64_t last_wanted_bytes = 0;
  uint64_t last_returned_bytes = 0;  // when something was wanted last
  PressureLevel highest = PressureLevel::kNone;
};

// A probability, for where there are only whole numbers.
inline uint64_t per_mille(float share) { return static_cast<uint64_t>(share * 1000.0F + 0.5F); }

struct GovernorHooks {
  // Frames and extents of which nothing is used; the bytes that went.
  size_t (*release_free)(size_t wanted_bytes);
  // Pages inside slabs; it looks at all of them. And how many bytes of free blocks those have.
  size_t (*release_slabs)();
  uint64_t (*slab_room_bytes)();
  // What the calling thread has at hand.
  void (*release_own)();
  // Threads may have little at hand, and nothing new becomes a huge page.
  void (*set_thrift)(bool);
  // Calls a listener. And: the heap has grown by a share.
  void (*tell)(PressureListeners::Function function, void* argument, const PressureState& state,
               uint64_t wanted_bytes);
  void (*grown)();
};

struct GovernorSettings {
  bool on = true;
  MemoryFiles files;
  uint64_t limit_bytes = UINT64_MAX;  // of the user
  bool group_is_hard = false;         // the limits below come from the group
  uint64_t soft_limit_bytes = UINT64_MAX;
  uint64_t hard_limit_bytes = UINT64_MAX;
  uint64_t notable_bytes = 0;  // a heap that comes to hold so much is noticed then: see grown()
  ForecastMethod method = ForecastMethod::kMixed;
  uint8_t levels_percent[4] = {70, 80, 90, 95};
};

// Once, before main. It opens files only where a limit was set by the user; else the first look
// does, when the heap has grown by 16 MiB.
void governor_start(const GovernorSettings& settings, const GovernorHooks& hooks);

// The byte clock says so (look_is_due()): within a request, which may be libc's.
void governor_look_within_request();
// Where the program's functions may be called: the helper, and who asks for the state.
void governor_look();
// The listeners that were not asked within a request.
void governor_ask_listeners();
// Limits may have come or gone: looks do so once a minute by themselves.
void governor_refresh();

// The helper's (kernel_hints.h). Opens `watch` for the nearest limit's group; with nothing to wait
// for where limits are not looked at. Reads the stalls. Does what there is to be done about events,
// and says how many bytes went; false: somebody is looking, ask again.
void governor_open_watch(PressureWatch* watch, PressureSources sources);
void governor_note_stall(PressureWatch* watch);
bool governor_heed(const PressureEvents& events, uint64_t* returned_bytes);

// As of the last look; a new one where that is older than `age_ms`.
void governor_state(PressureState* state, uint64_t age_ms);

int governor_add_listener(PressureListeners::Function function, void* argument);
int governor_remove_listener(PressureListeners::Function function, void* argument);

void governor_lock_for_fork() EP_NO_THREAD_SAFETY_ANALYSIS;
void governor_unlock_after_fork(bool in_child) EP_NO_THREAD_SAFETY_ANALYSIS;

}  // namespace elasticpool
