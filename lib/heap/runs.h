// Buddy blocks by way of the thread's slots (magazine/run_slots.h): some dozen instructions where
// the last one of the length that was freed is asked for again.
//
// Who may call  heap/.
// Threads       each its own.
// Bound         1 MiB a thread, and a thread's share of what magazines may hold: many threads have
//               none. Who only frees has none; at the misses and overflows of its magazines a
//               thread lets go of those that it did not ask for while the helper beat for 2 to 4 s.
// Errors        a second free that comes at the same instant as the first may be believed here, as
//               in a magazine: see heap.h.
// Cost          a hit: no lock, no atomic read-modify-write. What does not fit goes to buddy/.
#pragma once

#include <cstddef>

#include "base/annotations.h"
#include "magazine/thread_cache.h"

namespace elasticpool {

// A live block of so many granules; nullptr: none is at hand.
void* take_run(size_t granules);
// A buddy block whose cell says dead already, into a slot or back to its frame.
void free_run(void* block);
// All that a thread has at hand, back to their frames.
void flush_runs(ThreadCache& cache);
// The same where it should have none at hand now; after a miss or an overflow.
inline void tend_runs(ThreadCache& cache) {
  if (EP_UNLIKELY(is_freeing(cache) || cache.runs_are_idle)) flush_runs(cache);
}

}  // namespace elasticpool
