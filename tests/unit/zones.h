// The zones for a test, planned where this process has room for them.
//
// Who may use  tests of pagemap/ and of the layers above it, before other threads.
// Again        plan_zones_anew() forgets all that the zones held; a layer that keeps frames in
//              variables of its own (buddy/) is to plan once in a process.
#pragma once

#include <sys/mman.h>

#include <cstdint>

#include "base/annotations.h"
#include "base/bits.h"
#include "fake_vm.h"
#include "pagemap/zone.h"

namespace elasticpool::test {

// An address that the kernel chooses; under the thread sanitizer one where it lets us.
inline uintptr_t test_anchor() {
  if (EP_THREAD_SANITIZER) return 448 * kGiB;
  void* anchor = mmap(nullptr, kFrameBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (anchor == MAP_FAILED) return 0;
  munmap(anchor, kFrameBytes);
  return address_of(anchor);
}

inline void plan_zones_anew(FakeVm& fake, const ZoneSides& sides, uintptr_t anchor) {
  fake.unmap_all();
  for (Zone* zone : {&g_tiny_zone, &g_small_zone, &g_medium_zone, &g_large_zone}) {
    LockGuard guard(zone->growth_lock);
    zone->tables_ready_frames = 0;
    zone->next_frame = 0;
    zone->steps = 0;
  }
  plan_zones(anchor, sides);
}

// Frames that the zone has published.
inline size_t zone_frames(const Zone& zone) {
  return (zone.published_steps() << zone.shape.step_shift) / kFrameBytes;
}

}  // namespace elasticpool::test
