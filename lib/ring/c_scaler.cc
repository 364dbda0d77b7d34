// The functions of <elasticpool/ring.h> for elasticity: arguments are checked here.
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>

#include "include/elasticpool/ring.h"
#include "ring/deadline.h"
#include "ring/scaler.h"

#define EP_EXPORT extern "C" __attribute__((visibility("default")))

using elasticpool::kGroupsMax;
using elasticpool::kNameBytes;
using elasticpool::Region;

struct ep_ring_scaler {
  ep_ring_scaler(Region& region, const char* group, const ep_ring_starter& starter)
      : scaler(region, group, starter) {}
  elasticpool::Scaler scaler;
};

namespace {

Region& region_of(ep_ring* ring) { return *reinterpret_cast<Region*>(ring); }

uint32_t group_of(ep_ring* ring, const char* name) {
  return elasticpool::find_group(region_of(ring), elasticpool::name_text(name));
}

bool is_name(const char* name) {
  return name != nullptr && name[0] != '\0' && strnlen(name, kNameBytes) < kNameBytes;
}

// One way to start a consumer, and one only.
bool is_possible(const ep_ring_starter* starter) {
  if (starter == nullptr) return false;
  const bool has_command = starter->argv != nullptr;
  if (has_command == (starter->start != nullptr)) return false;
  return !has_command || (starter->argv[0] != nullptr && starter->argv[0][0] != '\0');
}

}  // namespace

EP_EXPORT int ep_ring_scaler_open(ep_ring* ring, const char* group,
                                  const struct ep_ring_starter* starter,
                                  ep_ring_scaler** scaler) noexcept {
  if (!is_name(group) || !is_possible(starter)) return EP_RING_INVALID;
  if (group_of(ring, group) == kGroupsMax) return EP_RING_MISSING;
  void* place = malloc(sizeof(ep_ring_scaler));
  if (place == nullptr) return EP_RING_NO_MEMORY;
  *scaler = new (place) ep_ring_scaler(region_of(ring), group, *starter);
  return EP_RING_OK;
}

EP_EXPORT void ep_ring_scaler_close(ep_ring_scaler* scaler) noexcept { free(scaler); }

EP_EXPORT int ep_ring_scale_up(ep_ring_scaler* scaler, unsigned count) noexcept {
  return scaler->scaler.scale_up(count);
}

EP_EXPORT int ep_ring_scale_down(ep_ring_scaler* scaler, unsigned to) noexcept {
  scaler->scaler.scale_down(to);
  return EP_RING_OK;
}

EP_EXPORT unsigned ep_ring_scaler_poll(ep_ring_scaler* scaler) noexcept {
  return scaler->scaler.tend();
}

EP_EXPORT int ep_ring_scaler_settle(ep_ring_scaler* scaler, int timeout_ms) noexcept {
  elasticpool::Deadline deadline(timeout_ms);
  for (;;) {
    scaler->scaler.tend();
    ep_ring_scaler_stat stat;
    scaler->scaler.read_stat(&stat);
    if (stat.leaving == 0 && stat.waiting == 0 && stat.joined == stat.running) return EP_RING_OK;
    const uint64_t left_ns = deadline.left_ns(1'000'000);
    if (left_ns == 0) return EP_RING_TIMEOUT;
    const timespec moment{0, static_cast<long>(left_ns)};
    nanosleep(&moment, nullptr);
  }
}

EP_EXPORT void ep_ring_scaler_read_stat(const ep_ring_scaler* scaler,
                                        struct ep_ring_scaler_stat* stat) noexcept {
  scaler->scaler.read_stat(stat);
}

EP_EXPORT int ep_ring_rebalance(ep_ring* ring, const char* group) noexcept {
  if (!is_name(group)) return EP_RING_INVALID;
  const uint32_t index = group_of(ring, group);
  if (index == kGroupsMax) return EP_RING_MISSING;
  elasticpool::stir_group(region_of(ring), index);
  return EP_RING_OK;
}
