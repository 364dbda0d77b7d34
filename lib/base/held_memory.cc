// See held_memory.h.
#include "base/held_memory.h"

namespace elasticpool {

constinit HeldMemory g_held_memory;

void limit_held_memory(uint64_t limit_bytes, uint64_t reserve_bytes) {
  const uint64_t slab_limit_bytes =
      limit_bytes > UINT64_MAX - reserve_bytes ? UINT64_MAX : limit_bytes + reserve_bytes;
  g_held_memory.limit_bytes[static_cast<size_t>(Charge::kBlock)].store(limit_bytes,
                                                                       std::memory_order_relaxed);
  g_held_memory.limit_bytes[static_cast<size_t>(Charge::kSlab)].store(slab_limit_bytes,
                                                                      std::memory_order_relaxed);
}

}  // namespace elasticpool
