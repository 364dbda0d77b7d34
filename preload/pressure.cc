// elasticpool/pressure.h.
#include "include/elasticpool/pressure.h"

#include <errno.h>

#include <algorithm>
#include <cstring>

#include "heap/pressure_view.h"

#define EP_EXPORT extern "C" __attribute__((visibility("default")))

EP_EXPORT int ep_pressure_get(struct ep_pressure* pressure, size_t size) noexcept {
  constexpr uint64_t kAgeMs = 1000;
  if (pressure == nullptr || size == 0) return EINVAL;
  struct ep_pressure view;
  elasticpool::view_pressure(&view, kAgeMs);
  memset(pressure, 0, size);
  memcpy(pressure, &view, std::min(size, sizeof view));
  return 0;
}

EP_EXPORT int ep_on_pressure(ep_pressure_callback callback, void* argument) noexcept {
  return elasticpool::listen_to_pressure(callback, argument);
}

EP_EXPORT int ep_off_pressure(ep_pressure_callback callback, void* argument) noexcept {
  return elasticpool::stop_listening_to_pressure(callback, argument);
}
