// Sleeping on a word of shared memory, for processes.
//
// Threads  any.
// Errors   none: a sleep that cannot be had (futex forbidden) is a short one by the clock.
// Cost     a system call; waking somebody on another CPU some 20 us until he runs.
#pragma once

#include <cstdint>

#include "ring/shared.h"

namespace elasticpool {

// Sleeps while word == value, `ns` at most; may end early.
void futex_wait(const SharedU32& word, uint32_t value, uint64_t ns);
void futex_wake(const SharedU32& word, int32_t sleepers);

}  // namespace elasticpool
