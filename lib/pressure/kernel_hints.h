// What the kernel and the service manager say of memory that is short, and the helper's sleep on
// it.
//
// What it is  a PressureWatch (os/memory_pressure.h) for the helper thread. While the helper works
//             it asks after each of its seconds what has happened in it. When it sleeps for long it
//             sleeps on all there is to wait for, and arms triggers of its own: so only processes
//             that have lived for a minute have any, since to close one takes the kernel 10 ms.
// Group       that whose limit is the nearest, as of when it is opened; thresholds of version 1
//             are the levels of its limit then.
// Off         without a governor that looks at limits there is no source: it only sleeps.
// Threads     one helper at a time; wake_helper(): any thread.
// Fork        the descriptors of the child are the parent's until its own helper opens its own.
// Cost        a second's end: a call for each source, some 5 microseconds; opening, some 50.
#pragma once

#include <atomic>
#include <cstdint>

#include "os/memory_pressure.h"

namespace elasticpool {

// Before main: what the service manager has said in the environment (MEMORY_PRESSURE_WATCH,
// MEMORY_PRESSURE_WRITE). Copied; what is too long for its place is as if it were not there.
void note_service_manager(const char* const* environment);

// The helper, when it begins and ends.
void open_hints();
void close_hints();
// For so long, while word == value; may end early. What has happened meanwhile.
PressureEvents rest_with_hints(uint64_t ms, std::atomic<uint32_t>& word, uint32_t value);
// Before a long rest: with triggers, and for the limits of now.
void arm_hints();
// Until something happens, or ten minutes have passed; while word == value. Deaf to all but the
// word for the first deaf_ms.
PressureEvents sleep_on_hints(uint64_t deaf_ms, std::atomic<uint32_t>& word, uint32_t value);

// After the word was changed. False: the helper sleeps on a descriptor that the program has closed,
// and will not hear of it before something else wakes it.
bool wake_helper(std::atomic<uint32_t>& word);

}  // namespace elasticpool
