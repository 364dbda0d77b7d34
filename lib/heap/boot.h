// From nothing to a heap, whenever the first request comes.
//
// Threads  any; one builds, others wait (rank kBoot).
// When     the loader may call malloc before any constructor has run, before libc has its
//          environment: boot() needs neither. heap_start() comes later and adds what does.
#pragma once

#include <atomic>

#include "base/annotations.h"

namespace elasticpool {

extern std::atomic<bool> g_booted;

// False: not even our own records can be had; the next request tries again.
bool boot_slow();

EP_ALWAYS_INLINE bool ensure_booted() {
  // order[booted]: sees the zones and options that boot_slow() set up.
  return EP_LIKELY(g_booted.load(std::memory_order_acquire)) || boot_slow();
}

}  // namespace elasticpool
