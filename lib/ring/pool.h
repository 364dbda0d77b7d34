// The pool of one handle: blocks of the region, and a cache of some that are this handle's already.
//
// Threads     one at a time.
// Stealing    who finds the pool exhausted takes runs out of others' caches: so these may be large.
// Invariants  every block in the cache says kCached by us in its word, every block that the program
//             fills kReserved: so a sweep finds both, and tells them apart.
// Sizes       up to 8 KiB from slabs, above as runs of 4 KiB granules.
// Cost        reserve() from the cache a pop, a look at the block's word and a store.
#pragma once

#include "ring/slabs.h"

namespace elasticpool {

class Pool {
 public:
  // slab_owner: kNobody, or us, where this handle has slabs of its own.
  Pool(Region& region, Tag me, Tag slab_owner, uint64_t private_bytes)
      : runs_(region, me),
        slabs_(region, runs_, me),
        region_(region),
        me_(me),
        slab_owner_(slab_owner),
        private_bytes_(private_bytes) {
    set_limits();
  }

  // kEverywhere: a look at every granule (some ns each), for empty slabs and what lies in caches;
  // and the pool grows. kFree: where free blocks are known to be.
  enum class Search { kFree, kEverywhere };
  // A block of at least `bytes` whose word says kReserved by us. Of *place entry, offset, capacity
  // and generation are set.
  // Errors  NO_MEMORY NO_SPACE SYSTEM CORRUPT.
  ep_ring_error reserve(uint64_t bytes, Search search, uint32_t* block, BlockPlace* place);
  // A block whose word says `word`, by us: to the cache, or free for all.
  void give_back(uint32_t block, const BlockPlace& place, uint64_t word, bool keep);
  // Everything in the cache becomes free for all; true: there was something.
  bool flush();

  bool find(uint32_t block, BlockPlace* place) const { return slabs_.find(block, place); }
  bool is_ours(const BlockPlace& place, BlockState state) const {
    const uint64_t word = place.entry->word.load_relaxed();
    return block_state(word) == state && block_tag(word) == me_;
  }
  Runs& runs() { return runs_; }
  Slabs& slabs() { return slabs_; }

 private:
  static constexpr size_t kCacheBlocks = 128;
  static constexpr size_t kCacheBytes = 512 << 10;
  static constexpr size_t kCachedRuns = 128;
  // Blocks between the one that is handed out and the one whose first line is asked for.
  static constexpr uint32_t kAhead = 8;
  struct SizeCache {
    uint32_t count = 0;
    uint32_t limit = 0;
    uint32_t blocks[kCacheBlocks];
    uint64_t offsets[kCacheBlocks];  // of the same blocks' bytes
  };

  ep_ring_error reserve_run(uint64_t granules, Search search, uint32_t* block, BlockPlace* place);
  ep_ring_error take_run(uint64_t granules, uint32_t* block);
  ep_ring_error refill(size_t size_index);
  ep_ring_error with_room(ep_ring_error (Pool::*attempt)(uint64_t, uint32_t*), Search search,
                          uint64_t what, uint32_t* block);
  ep_ring_error refill_cache(uint64_t size_index, uint32_t*) { return refill(size_index); }
  void set_limits();
  bool steal_runs();
  void free_run(uint64_t first, uint64_t word);
  bool may_make_private(size_t size_index) const;

  Runs runs_;
  Slabs slabs_;
  Region& region_;
  const Tag me_;
  const Tag slab_owner_;
  const uint64_t private_bytes_;
  SizeCache cache_[kBlockSizes];
  uint32_t cached_runs_[kCachedRuns] = {};
  uint32_t cached_run_count_ = 0;
};

}  // namespace elasticpool
