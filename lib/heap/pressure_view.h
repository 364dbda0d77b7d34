// Memory pressure as programs see it: what stands behind elasticpool/pressure.h.
//
// Who may call  preload/, stats/.
// Threads       any. Errors, cost: as the public header says.
#pragma once

#include "include/elasticpool/pressure.h"
#include "pressure/alerts.h"
#include "pressure/governor.h"

namespace elasticpool {

// For reports: the last look, or a first one.
void take_pressure(PressureState* state);
// As of the last look; a new one is taken where that is older than `age_ms`.
void view_pressure(struct ep_pressure* view, uint64_t age_ms);
void fill_pressure(struct ep_pressure* view, const PressureState& state, uint64_t now_ms);

// For the governor.
void tell_listener(PressureListeners::Function function, void* argument, const PressureState& state,
                   uint64_t wanted_bytes);
// Numbers of errno.
int listen_to_pressure(ep_pressure_callback callback, void* argument);
int stop_listening_to_pressure(ep_pressure_callback callback, void* argument);

}  // namespace elasticpool
