// Time that passes.
//
// Threads  any.
// Cost     monotonic_ms(): some 20 ns where the kernel maps its clock into the process, else a
//          system call.
#pragma once

#include <cstdint>

namespace elasticpool {

// Milliseconds since some moment of the past; never goes back.
uint64_t monotonic_ms();
// May end early.
void sleep_ms(uint64_t ms);

}  // namespace elasticpool
