// See pressure_view.h.
#include "heap/pressure_view.h"

#include <algorithm>

#include "base/held_memory.h"
#include "os/clock.h"

namespace elasticpool {
namespace {

using Function = PressureListeners::Function;

static_assert(static_cast<int>(PressureLevel::kEmergency) == EP_PRESSURE_EMERGENCY);
static_assert(static_cast<int>(PressureTrend::kCritical) == EP_TREND_CRITICAL);
static_assert(static_cast<int>(MemorySource::kOption) == EP_SOURCE_OPTION);
static_assert(sizeof(ep_pressure::forecasts) / sizeof(ep_forecast) == kHorizons);

}  // namespace

void fill_pressure(struct ep_pressure* view, const PressureState& state, uint64_t now_ms) {
  *view = {};
  view->level = static_cast<ep_pressure_level>(state.level);
  view->trend = static_cast<ep_pressure_trend>(state.outlook.trend);
  view->source = static_cast<ep_pressure_source>(state.reading.source);
  view->age_ms = static_cast<uint32_t>(std::min<uint64_t>(now_ms - state.looked_ms, UINT32_MAX));
  view->limit_bytes = state.reading.limit_bytes;
  view->used_bytes = state.reading.used_bytes;
  view->heap_bytes = held_bytes();
  for (uint32_t i = 0; i < kHorizons; ++i) {
    const Forecast& forecast = state.outlook.forecasts[i];
    view->forecasts[i] = {kHorizonsS[i], forecast.confidence, forecast.used_bytes,
                          forecast.low_bytes, forecast.high_bytes};
  }
  std::copy(std::begin(state.outlook.seconds_to), std::end(state.outlook.seconds_to),
            view->seconds_to);
  view->crossing = state.outlook.crossing;
  view->alarms = state.outlook.alarms;
  view->returned_bytes = state.returned_bytes;
  view->callbacks = state.told;
  view->stalled = static_cast<float>(state.stall_permyriad) / 10000.0F;
  view->shortages = static_cast<uint32_t>(std::min<uint64_t>(state.shortages, UINT32_MAX));
}

void tell_listener(Function function, void* argument, const PressureState& state,
                   uint64_t wanted_bytes) {
  struct ep_pressure view;
  fill_pressure(&view, state, state.looked_ms);
  reinterpret_cast<ep_pressure_callback>(function)(&view, wanted_bytes, argument);
}

void take_pressure(PressureState* state) { governor_state(state, UINT64_MAX); }

void view_pressure(struct ep_pressure* view, uint64_t age_ms) {
  PressureState state;
  governor_state(&state, age_ms);
  fill_pressure(view, state, monotonic_ms());
}

int listen_to_pressure(ep_pressure_callback callback, void* argument) {
  return governor_add_listener(reinterpret_cast<Function>(callback), argument);
}

int stop_listening_to_pressure(ep_pressure_callback callback, void* argument) {
  return governor_remove_listener(reinterpret_cast<Function>(callback), argument);
}

}  // namespace elasticpool
