// Buddy blocks by way of the thread's slots (magazine/run_slots.h): a dozen instructions where the
// last one of the length that was freed is asked for again.
//
// Who may call  heap/.
// Threads       each its own.
// Cost          a hit: no lock, no atomic. What does not fit a slot goes to buddy/.
#pragma once

#include <cstddef>

#include "magazine/thread_cache.h"

namespace elasticpool {

// A live block of so many granules; nullptr: none is at hand.
void* take_run(size_t granules);
// A buddy block whose cell says dead already, into a slot or back to its frame.
void free_run(void* block);
// All that a thread has at hand, back to their frames.
void flush_runs(ThreadCache& cache);

}  // namespace elasticpool
