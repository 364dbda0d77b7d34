// Time that passes, and sleeping for some of it.
//
// Threads  any.
// Cost     monotonic_...(): some 20 ns where the kernel maps its clock into the process, else a
//          system call.
#pragma once

#include <atomic>
#include <cstdint>

namespace elasticpool {

// Milliseconds, nanoseconds since some moment of the past; never goes back.
uint64_t monotonic_ms();
uint64_t monotonic_ns();
// Sleeps while word == value; may end early. wake_sleeper(): after the word was changed.
void sleep_ms(uint64_t ms, std::atomic<uint32_t>& word, uint32_t value);
void wake_sleeper(std::atomic<uint32_t>& word);

}  // namespace elasticpool
