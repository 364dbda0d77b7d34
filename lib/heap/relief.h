// Where memory pressure meets the tiers: what can be given back, at what price, and when it is
// looked at (pressure/governor.h).
//
// Who may call  start_governor(): heap_start(), once. look_when_due(): the router, after a request
//               was served, with no lock of ours held and before the caller has the block.
//               work_at_edge(): preload/, at the end of it.
// Cost          each a load and a branch, on ways that are slow anyway.
#pragma once

#include "base/annotations.h"
#include "base/held_memory.h"
#include "heap/heap.h"
#include "pressure/caretaker.h"
#include "pressure/edge_work.h"
#include "pressure/governor.h"

namespace elasticpool {

void start_governor();

// A look, which asks the program's listeners at the edge of the request if there will be one.
void look_within_request();

// Memory was taken or came back in a batch.
EP_ALWAYS_INLINE void note_batch() { caretaker_wake_if_asleep(); }

EP_ALWAYS_INLINE void look_when_due() {
  note_batch();
  if (EP_UNLIKELY(look_is_due())) look_within_request();
}

// At the edge of a request, the block in hand. `caller`: who has asked for it, where that can be
// told; anything of our own where not.
EP_ALWAYS_INLINE void work_at_edge(const void* caller) {
  if (EP_UNLIKELY(g_edge_work.load(std::memory_order_relaxed) != 0)) heap_work_at_edge(caller);
}

}  // namespace elasticpool
