// Where a process may be killed: before every change of shared memory.
//
// Who may use  shared.h, which makes all changes of shared memory; tests count and stop there.
// Threads      the hook is set before threads start.
// Invariant    without EP_RING_STEPS it is nothing at all. With it, the n-th change of shared
//              memory that a process makes is preceded by the n-th call of the hook: to kill a
//              process in call n for every n tries every state that a death can leave behind.
// Cost         none in the library; a load and a branch in tests.
#pragma once

namespace elasticpool {

#if defined(EP_RING_STEPS)
extern void (*ring_step_hook)();
inline void ring_step() {
  if (ring_step_hook != nullptr) ring_step_hook();
}
#else
inline void ring_step() {}
#endif

}  // namespace elasticpool
