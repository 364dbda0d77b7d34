// A handle's cache of blocks, and what happens when the pool has none left.
#include "ring/pool.h"

#include "ring/prefetch.h"

namespace elasticpool {

// A small pool is not to end up in the caches of those who do not use it.
void Pool::set_limits() {
  const uint64_t pool_share = region_.payload_bytes_max() / 128;
  const uint64_t bytes = pool_share < kCacheBytes ? pool_share : kCacheBytes;
  for (size_t i = 0; i < kBlockSizes; ++i) {
    const uint64_t blocks = bytes / kBlockSizeTable[i].block_bytes;
    const uint64_t most = blocks < kCacheBlocks ? blocks : kCacheBlocks;
    cache_[i].limit = static_cast<uint32_t>(most < 2 ? 2 : most);
  }
}

bool Pool::may_make_private(size_t size_index) const {
  const uint64_t granules = slabs_.own_granules() + kBlockSizeTable[size_index].slab_granules;
  return granules * kRingGranuleBytes <= private_bytes_;
}

ep_ring_error Pool::refill(size_t size_index) {
  SizeCache& cache = cache_[size_index];
  const size_t wanted = divide_up(cache.limit, 2);
  size_t count = 0;
  if (slab_owner_ != kNobody) {
    slabs_.take(size_index, slab_owner_, may_make_private(size_index), cache.blocks, wanted,
                &count);
  }
  ep_ring_error error = EP_RING_OK;
  if (count == 0) error = slabs_.take(size_index, kNobody, true, cache.blocks, wanted, &count);
  for (size_t i = 0; i < count; ++i) {
    BlockPlace place;
    if (!find(cache.blocks[i], &place)) continue;
    cache.blocks[cache.count] = cache.blocks[i];
    cache.offsets[cache.count++] = place.offset;
  }
  // Somebody scribbled over the slab in between.
  if (error == EP_RING_OK && cache.count == 0) return EP_RING_CORRUPT;
  return error;
}

// Tries, and when the pool is exhausted makes room in it: empty slabs, our own cache, more
// granules.
ep_ring_error Pool::with_room(ep_ring_error (Pool::*attempt)(uint64_t, uint32_t*), Search search,
                              uint64_t what, uint32_t* block) {
  ep_ring_error error = (this->*attempt)(what, block);
  if (error != EP_RING_NO_MEMORY || search == Search::kFree) return error;
  const bool flushed = flush();
  const bool dissolved = slabs_.dissolve_empty() != 0;
  if (steal_runs() || dissolved || flushed) error = (this->*attempt)(what, block);
  while (error == EP_RING_NO_MEMORY && runs_.grow()) error = (this->*attempt)(what, block);
  return error;
}

// Runs that lie in other handles' caches become free granules. A handle takes a run out of its own
// cache by the same change of the word, so one of the two gets it.
bool Pool::steal_runs() {
  bool any = false;
  const uint64_t end = runs_.granules();
  for (uint64_t granule = 0; granule < end; ++granule) {
    const uint64_t word = region_.granule(granule).word.load_relaxed();
    if (block_state(word) != BlockState::kCached) continue;
    if (!region_.granule(granule).word.change(word, block_word(BlockState::kFreeing, me_, 0))) {
      continue;
    }
    runs_.free(granule, runs_.length_of(granule));
    any = true;
  }
  return any;
}

ep_ring_error Pool::take_run(uint64_t granules, uint32_t* block) {
  uint64_t first = 0;
  const ep_ring_error error = runs_.allocate(granules, &first);
  if (error != EP_RING_OK) return error;
  region_.granule_info(first).store_relaxed(static_cast<uint32_t>(granules));
  *block = kRunBlock | static_cast<uint32_t>(first);
  return EP_RING_OK;
}

ep_ring_error Pool::reserve_run(uint64_t granules, Search search, uint32_t* block,
                                BlockPlace* place) {
  const uint64_t bytes = granules * kRingGranuleBytes;
  const uint64_t reserved = block_word(BlockState::kReserved, me_, 0);
  for (uint32_t i = cached_run_count_; i-- > 0;) {
    *block = cached_runs_[i];
    const bool is_there = find(*block, place);
    if (is_there && place->capacity_bytes != bytes) continue;
    cached_runs_[i] = cached_runs_[--cached_run_count_];
    // What is handed out after this one: the change of its word would wait for the line.
    if (i >= kAhead) {
      const uint64_t next = cached_runs_[i - kAhead] & ~kRunBlock;
      prefetch_to_write(&region_.granule(next));
      prefetch_to_write(region_.payload(next * kRingGranuleBytes));
    }
    // Unless somebody stole it.
    if (is_there && place->entry->word.change(block_word(BlockState::kCached, me_, 0), reserved)) {
      return EP_RING_OK;
    }
  }
  const ep_ring_error error = with_room(&Pool::take_run, search, granules, block);
  if (error != EP_RING_OK) return error;
  if (!find(*block, place)) return EP_RING_CORRUPT;
  place->entry->word.store_relaxed(reserved);
  return EP_RING_OK;
}

ep_ring_error Pool::reserve(uint64_t bytes, Search search, uint32_t* block, BlockPlace* place) {
  if (bytes > region_.payload_bytes_max()) return EP_RING_NO_MEMORY;
  ep_ring_error error = EP_RING_OK;
  if (bytes > kSlabBlockBytesMax) {
    return reserve_run(granules_of(bytes), search, block, place);
  }
  const size_t size_index = block_size_index(bytes);
  SizeCache& cache = cache_[size_index];
  if (EP_UNLIKELY(cache.count == 0)) {
    error = with_room(&Pool::refill_cache, search, size_index, nullptr);
    if (error != EP_RING_OK) return error;
  }
  --cache.count;
  *block = cache.blocks[cache.count];
  place->entry = &region_.block_entry(*block);
  const uint64_t word = place->entry->word.load_relaxed();
  if (EP_UNLIKELY(block_state(word) != BlockState::kCached || block_tag(word) != me_)) {
    return EP_RING_CORRUPT;
  }
  place->offset = cache.offsets[cache.count];
  place->capacity_bytes = kBlockSizeTable[size_index].block_bytes;
  place->slab_generation = block_low(word);
  place->size_index = static_cast<uint32_t>(size_index);
  place->is_run = false;
  place->entry->word.store_relaxed(block_word(BlockState::kReserved, me_, block_low(word)));
  // It is written next; of a batch, the one so many further on.
  prefetch_to_write(region_.payload(place->offset));
  if (cache.count >= kAhead) {
    prefetch_to_write(region_.payload(cache.offsets[cache.count - kAhead]));
  }
  return EP_RING_OK;
}

void Pool::free_run(uint64_t first, uint64_t word) {
  if (!region_.granule(first).word.change(word, block_word(BlockState::kFreeing, me_, 0))) return;
  runs_.free(first, runs_.length_of(first));
}

void Pool::give_back(uint32_t block, const BlockPlace& place, uint64_t word, bool keep) {
  const uint64_t cached = block_word(BlockState::kCached, me_, place.slab_generation);
  if (place.is_run) {
    if (!keep || cached_run_count_ == kCachedRuns) {
      free_run(place.first_granule, word);
    } else if (place.entry->word.change(word, cached)) {
      cached_runs_[cached_run_count_++] = block;
    }
    return;
  }
  SizeCache& cache = cache_[place.size_index];
  // What is another's own goes back to it.
  const bool is_shared = place.slab_owner == kNobody || place.slab_owner == me_;
  if (!keep || !is_shared || cache.count >= cache.limit) {
    slabs_.put(block, place, word);
  } else if (place.entry->word.change(word, cached)) {
    cache.blocks[cache.count] = block;
    cache.offsets[cache.count++] = place.offset;
  }
}

bool Pool::flush() {
  bool any = false;
  for (SizeCache& cache : cache_) {
    while (cache.count != 0) {
      const uint32_t block = cache.blocks[--cache.count];
      BlockPlace place;
      if (!find(block, &place)) continue;
      slabs_.put(block, place, block_word(BlockState::kCached, me_, place.slab_generation));
      any = true;
    }
  }
  while (cached_run_count_ != 0) {
    const uint32_t block = cached_runs_[--cached_run_count_];
    free_run(block & ~kRunBlock, block_word(BlockState::kCached, me_, 0));
    any = true;
  }
  return any;
}

}  // namespace elasticpool
