// See reclaimer.h.
#include "base/reclaimer.h"

#include <atomic>

namespace elasticpool {
namespace {

constinit std::atomic<ReclaimFunction> g_reclaimers[kReclaimers] = {};

}  // namespace

void set_reclaimer(Reclaimer who, ReclaimFunction function) {
  g_reclaimers[static_cast<size_t>(who)].store(function, std::memory_order_relaxed);
}

size_t reclaim_from_others(Reclaimer self, size_t wanted_bytes) {
  size_t returned_bytes = 0;
  for (size_t i = 0; i < kReclaimers && returned_bytes < wanted_bytes; ++i) {
    if (i == static_cast<size_t>(self)) continue;
    const ReclaimFunction reclaim = g_reclaimers[i].load(std::memory_order_relaxed);
    if (reclaim != nullptr) returned_bytes += reclaim(wanted_bytes - returned_bytes);
  }
  return returned_bytes;
}

}  // namespace elasticpool
