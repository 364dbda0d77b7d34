// A handle's cache of blocks, and what happens when the pool has none left.
#include "ring/pool.h"

namespace elasticpool {

size_t Pool::cache_limit(size_t block_bytes) const {
  // A small pool is not to end up in the caches of those who do not use it.
  const uint64_t pool_share = runs_.granules() * kRingGranuleBytes / 128;
  const uint64_t bytes = pool_share < kCacheBytes ? pool_share : kCacheBytes;
  const uint64_t blocks = bytes / block_bytes;
  if (blocks < 2) return 2;
  return blocks < kCacheBlocks ? blocks : kCacheBlocks;
}

bool Pool::may_make_private(size_t size_index) const {
  return slab_owner_ != kNobody &&
         kBlockSizeTable[size_index].slab_granules * kRingGranuleBytes <= private_bytes_left_;
}

ep_ring_error Pool::refill(size_t size_index) {
  SizeCache& cache = cache_[size_index];
  const BlockSize& size = kBlockSizeTable[size_index];
  const size_t wanted = divide_up(cache_limit(size.block_bytes), 2);
  size_t count = 0;
  if (slab_owner_ != kNobody) {
    const bool may_make = may_make_private(size_index);
    const uint64_t slabs_before = region_.header().slab_generation.load_relaxed();
    slabs_.take(size_index, slab_owner_, may_make, cache.blocks, wanted, &count);
    if (may_make && count != 0 && slabs_before != region_.header().slab_generation.load_relaxed()) {
      private_bytes_left_ -= size.slab_granules * kRingGranuleBytes;
    }
  }
  ep_ring_error error = EP_RING_OK;
  if (count == 0) error = slabs_.take(size_index, kNobody, true, cache.blocks, wanted, &count);
  cache.count = static_cast<uint32_t>(count);
  return error;
}

// Tries, and when the pool is exhausted makes room in it: empty slabs, our own cache, more
// granules.
ep_ring_error Pool::with_room(ep_ring_error (Pool::*attempt)(uint64_t, uint32_t*), uint64_t what,
                              uint32_t* block) {
  ep_ring_error error = (this->*attempt)(what, block);
  if (error != EP_RING_NO_MEMORY) return error;
  const bool flushed = flush();
  if (slabs_.dissolve_empty() != 0 || flushed) error = (this->*attempt)(what, block);
  while (error == EP_RING_NO_MEMORY && runs_.grow()) error = (this->*attempt)(what, block);
  return error;
}

ep_ring_error Pool::take_run(uint64_t granules, uint32_t* block) {
  uint64_t first = 0;
  const ep_ring_error error = runs_.allocate(granules, &first);
  if (error != EP_RING_OK) return error;
  region_.granule_info(first).store_relaxed(static_cast<uint32_t>(granules));
  *block = kRunBlock | static_cast<uint32_t>(first);
  return EP_RING_OK;
}

ep_ring_error Pool::reserve_run(uint64_t granules, uint32_t* block, BlockPlace* place) {
  for (uint32_t i = 0; i < cached_run_count_; ++i) {
    *block = cached_runs_[i];
    if (!find(*block, place) || place->capacity_bytes != granules * kRingGranuleBytes) continue;
    cached_runs_[i] = cached_runs_[--cached_run_count_];
    cached_run_bytes_ -= place->capacity_bytes;
    return EP_RING_OK;
  }
  const ep_ring_error error = with_room(&Pool::take_run, granules, block);
  if (error != EP_RING_OK) return error;
  return find(*block, place) ? EP_RING_OK : EP_RING_CORRUPT;
}

ep_ring_error Pool::reserve(uint64_t bytes, uint32_t* block, BlockPlace* place) {
  if (bytes > region_.payload_bytes_max()) return EP_RING_NO_MEMORY;
  ep_ring_error error = EP_RING_OK;
  if (bytes > kSlabBlockBytesMax) {
    error = reserve_run(granules_of(bytes), block, place);
  } else {
    const size_t size_index = block_size_index(bytes);
    SizeCache& cache = cache_[size_index];
    if (cache.count == 0) error = with_room(&Pool::refill_cache, size_index, nullptr);
    if (error == EP_RING_OK) {
      *block = cache.blocks[--cache.count];
      if (!find(*block, place)) error = EP_RING_CORRUPT;
    }
  }
  if (error != EP_RING_OK) return error;
  place->entry->word.store_relaxed(block_word(BlockState::kReserved, me_, place->slab_generation));
  return EP_RING_OK;
}

void Pool::free_run(uint64_t first, uint64_t word) {
  if (!region_.granule(first).word.change(word, block_word(BlockState::kFreeing, me_, 0))) return;
  runs_.free(first, runs_.length_of(first));
}

void Pool::give_back(uint32_t block, const BlockPlace& place, uint64_t word, bool keep) {
  const uint64_t cached = block_word(BlockState::kCached, me_, place.slab_generation);
  if (place.is_run) {
    const bool fits =
        cached_run_count_ < kCachedRuns &&
        cached_run_bytes_ + place.capacity_bytes <= runs_.granules() * kRingGranuleBytes / 16;
    if (!keep || !fits) {
      free_run(place.first_granule, word);
    } else if (place.entry->word.change(word, cached)) {
      cached_runs_[cached_run_count_++] = block;
      cached_run_bytes_ += place.capacity_bytes;
    }
    return;
  }
  SizeCache& cache = cache_[place.size_index];
  if (!keep || cache.count >= cache_limit(place.capacity_bytes)) {
    slabs_.put(block, place, word);
  } else if (place.entry->word.change(word, cached)) {
    cache.blocks[cache.count++] = block;
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
  cached_run_bytes_ = 0;
  return any;
}

}  // namespace elasticpool
