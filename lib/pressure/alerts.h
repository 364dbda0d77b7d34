// Tells a person or a program outside when the level of pressure changes (MEMPOOL_ALERT).
//
// Where     stderr, syslog, a file or FIFO by its path (a line is appended), or exec:COMMAND, which
//           gets the line as its first argument.
// How often once a minute at most: what changes in between is told with the next change, as the
//           level that it is then.
// Threads   one at a time: whoever looks (governor.h). set_alert_target(): once, before there are
//           others.
// Errors    what cannot be told is lost.
#pragma once

#include <cstdint>

#include "os/memory_limits.h"
#include "pressure/ladder.h"

namespace elasticpool {

const char* name_of(PressureLevel level);
const char* name_of(MemorySource source);

// `target` is empty, or what is_target() (tune/option_text.h) lets pass; it lives on. `environment`
// is looked at when a command is started.
void set_alert_target(const char* target, char* const* const* environment);

// The level has changed; the first time whatever it is.
void alert_level(PressureLevel level, const MemoryReading& reading, uint64_t now_ms);
// Alerts told so far.
uint64_t alerts_told();

}  // namespace elasticpool
