// See runs.h.
#include "heap/runs.h"

#include "buddy/buddy.h"
#include "heap/block_zones.h"
#include "heap/thread.h"
#include "os/numa.h"
#include "percpu/cpu_cache.h"

namespace elasticpool {
namespace {

// Where nodes differ, a thread keeps only what is near.
bool is_near(const void* block) {
  return node_rows() == 1 || buddy_run_node(g_medium_zone, block) == current_node();
}

}  // namespace

void* take_run(size_t granules) {
  ThreadCache& cache = this_cache();
  const uintptr_t step = cache.runs.take(granules);
  if (step == 0) return nullptr;
  cell_at<kMediumShape>(step) = kBuddyBlock;
  return block_at<kMediumShape>(step);
}

void free_run(void* block) {
  ThreadCache& cache = this_cache();
  if (EP_UNLIKELY(&cache == &g_vacant_cache)) return buddy_free_block(block);
  const size_t granules = buddy_run_bytes(g_medium_zone, block) / kGranuleBytes;
  if (EP_LIKELY(!cache.runs.holds(granules) && !is_freeing(cache) && is_near(block))) {
    if (!cache.runs.has_room(granules)) flush_runs(cache);
    const uintptr_t step = step_of<kMediumShape>(block);
    cell_at<kMediumShape>(step) = kHeldBuddyBlock;
    return cache.runs.put(granules, step);
  }
  if (is_freeing(cache)) flush_runs(cache);
  buddy_free_block(block);
}

void flush_runs(ThreadCache& cache) {
  while (const uintptr_t step = cache.runs.take_any()) {
    cell_at<kMediumShape>(step) = kNoBlock;
    buddy_free_block(block_at<kMediumShape>(step));
  }
}

}  // namespace elasticpool
