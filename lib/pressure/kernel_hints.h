// What the kernel and the service manager say of memory that is short, and the helper's sleep on
// it.
//
// What it is  a PressureWatch (os/memory_pressure.h) for the helper thread. While the helper works
//             it asks after each of its seconds what has happened in it. When it sleeps for long it
//             sleeps on all there is to wait for, and arms triggers of its own: those have only
//             processes that have lived for a minute, since to close one takes the kernel 10 ms.
// Group       that whose limit is the nearest, as of when it is opened; thresholds of version 1
//             are the levels of its limit then.
// Lost        a source that has failed, or that the program has closed, is opened again, ten
//             seconds after the last time at the earliest. What fails again and again (a PSI file
//             of the service manager's without a trigger) is let be from then on.
// Off         without a governor that looks at limits there is no source: it only sleeps.
// Threads     one helper at a time; wake_helper(): any thread.
// Fork        the descriptors of the child are the parent's until its own helper opens its own.
// Cost        a second's end: a call for each source, some 5 microseconds; opening, some 50;
//             closing, 10 ms for each trigger that was armed.
#pragma once

#include <atomic>
#include <cstdint>

#include "os/memory_pressure.h"

namespace elasticpool {

// Before main: what the service manager has said in the environment (MEMORY_PRESSURE_WATCH,
// MEMORY_PRESSURE_WRITE). Copied; where one is too long for its place, none of it is used.
void note_service_manager(const char* const* environment);

// The helper, when it begins and ends.
void open_hints();
void close_hints();
// For so long, while word == value; may end early. What has happened meanwhile.
PressureEvents rest_with_hints(uint64_t ms, std::atomic<uint32_t>& word, uint32_t value);
// Before a long rest: with triggers, and for the limits of now.
void arm_hints();
// Until something happens, or ten minutes have passed; while word == value. For the first deaf_ms
// it hears the service manager alone, and nobody for the first second of them.
PressureEvents sleep_on_hints(uint64_t deaf_ms, std::atomic<uint32_t>& word, uint32_t value);

// After the word was changed. False: the helper sleeps on a descriptor that the program has closed,
// and will not hear of it before something else wakes it.
bool wake_helper(std::atomic<uint32_t>& word);

}  // namespace elasticpool
