// What a processor does between two looks at what another is about to change.
//
// Threads  any.
// Yields   from some microsecond on whoever else wants the processor gets it: perhaps it is who we
//          wait for. Two producers and two consumers on two processors get a third more done by
//          that; where nobody wants it, it costs 0.3 us each time.
#pragma once

#include <sched.h>

#include "ring/deadline.h"

namespace elasticpool {

// Some 10 to 60 ns, in which the other hardware thread of the core has it alone.
inline void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  __asm__ volatile("yield");
#endif
}

// Longer than an answer takes that is on its way.
inline constexpr unsigned kLooksAlone = 16;

// looks: that were in vain already. Only while there is time left: another may keep the processor
// for milliseconds.
inline void pause_or_yield(unsigned looks, Deadline& deadline) {
  constexpr unsigned kYieldEvery = 4;
  if (looks >= kLooksAlone && looks % kYieldEvery == 0 && deadline.left_ns(1) != 0) {
    sched_yield();
  } else {
    pause_cpu();
  }
}

}  // namespace elasticpool
