// A processor that waits for another tells so.
//
// Threads  any.
// Cost     some 10 to 60 ns, in which the other hardware thread of the core has it alone.
#pragma once

namespace elasticpool {

inline void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  __asm__ volatile("yield");
#endif
}

}  // namespace elasticpool
