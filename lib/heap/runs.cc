// See runs.h.
#include "heap/runs.h"

#include "base/die.h"
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

bool may_hold(const ThreadCache& cache, size_t granules) {
  return (cache.runs.held_granules() + granules) * kGranuleBytes <= thread_share_bytes();
}

// Out of a slot, back to its frame.
void let_go(uintptr_t step) {
  cell_at<kMediumShape>(step) = kNoBlock;
  buddy_free_block(block_at<kMediumShape>(step));
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
  // Another thread has freed it at the same instant.
  if (EP_UNLIKELY(granules == 0)) die_double_free(block);
  if (EP_UNLIKELY(is_freeing(cache) || !is_near(block))) return buddy_free_block(block);
  const uintptr_t step = step_of<kMediumShape>(block);
  if (cache.runs.holds(granules)) {
    cell_at<kMediumShape>(step) = kHeldBuddyBlock;
    return let_go(cache.runs.replace(granules, step));
  }
  if (!cache.runs.has_room(granules)) flush_runs(cache);
  if (!may_hold(cache, granules)) return buddy_free_block(block);
  cell_at<kMediumShape>(step) = kHeldBuddyBlock;
  cache.runs.put(granules, step);
}

void flush_runs(ThreadCache& cache) {
  while (const uintptr_t step = cache.runs.take_any()) let_go(step);
  cache.runs_are_idle = false;
}

}  // namespace elasticpool
