// A clock that two processes on two processors can compare: the time stamp counter, else
// CLOCK_MONOTONIC.
//
// Invariants  arrival_ticks() is read after everything before it; ticks() may be read a little
//             earlier than it stands, which makes a latency longer, never shorter.
#pragma once

#include <cstdint>
#include <ctime>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

inline uint64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

#if defined(__x86_64__)
inline uint64_t ticks() { return __rdtsc(); }
inline uint64_t arrival_ticks() {
  _mm_lfence();
  return __rdtsc();
}
inline void pause_cpu() { _mm_pause(); }
#else
inline uint64_t ticks() { return monotonic_ns(); }
inline uint64_t arrival_ticks() { return monotonic_ns(); }
inline void pause_cpu() {}
#endif

// Measured once, when first asked for.
double ns_per_tick();
