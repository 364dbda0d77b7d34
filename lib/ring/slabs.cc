// Taking blocks from slabs, giving them back, making slabs and dissolving them.
#include "ring/slabs.h"

#include <bit>

namespace elasticpool {
namespace {

uint32_t block_of(uint64_t first_granule, uint64_t index) {
  return static_cast<uint32_t>(first_granule * kLinesPerGranule + index);
}

}  // namespace

bool Slabs::find_slab(uint64_t granule, SlabPlace* slab) const {
  const uint64_t word = region_.granule(granule).word.load_acquire();
  // One that somebody takes apart still has its blocks, until he has them all.
  const bool is_dissolving = block_state(word) == BlockState::kDissolving;
  if (block_state(word) != BlockState::kSlab && !is_dissolving) return false;
  const uint32_t info = region_.granule_info(granule).load_relaxed();
  const size_t size_index = slab_info_index(info);
  if (!is_slab_info(info) || size_index >= kBlockSizes) return false;
  if (granule + kBlockSizeTable[size_index].slab_granules > region_.geometry().granules_max) {
    return false;
  }
  *slab = {granule, static_cast<uint32_t>(size_index), block_low(word),
           is_dissolving ? kNobody : block_tag(word), is_dissolving};
  return true;
}

bool Slabs::find_run(uint32_t block, BlockPlace* place) const {
  const uint64_t granule = block & ~kRunBlock;
  if (granule >= region_.geometry().granules_max) return false;
  const uint32_t length = region_.granule_info(granule).load_relaxed();
  if (length == 0 || granule + length > region_.geometry().granules_max) return false;
  *place = {&region_.granule(granule),
            granule * kRingGranuleBytes,
            length * kRingGranuleBytes,
            granule,
            0,
            0,
            kNobody,
            true};
  return true;
}

ep_ring_error Slabs::make(size_t size_index, Tag owner, uint64_t* first) {
  const BlockSize& size = kBlockSizeTable[size_index];
  ep_ring_error error = runs_.allocate(size.slab_granules, first);
  if (error != EP_RING_OK) return error;
  const uint64_t entries =
      region_.geometry().block_entries + *first * kLinesPerGranule * sizeof(BlockEntry);
  error = region_.back(entries, size.blocks_per_slab * sizeof(BlockEntry));
  if (error != EP_RING_OK) {
    region_.granule(*first).word.store_release(block_word(BlockState::kFreeing, me_, 0));
    runs_.free(*first, size.slab_granules);
    return error;
  }
  region_.granule_info(*first).store_relaxed(slab_info(size_index, size.slab_granules));
  const uint32_t generation = region_.header().slab_generation.add(1) + 1;
  for (uint32_t i = 0; i < size.blocks_per_slab; ++i) {
    region_.block_entry(block_of(*first, i)).word.store_relaxed(free_block_word(generation));
  }
  const uint64_t word = block_word(BlockState::kSlab, owner, generation);
  region_.granule(*first).word.store_release(word);
  if (owner == me_) own_granules_ += size.slab_granules;
  restore_hints({*first, static_cast<uint32_t>(size_index), generation, owner, false});
  return EP_RING_OK;
}

void Slabs::restore_hints(const SlabPlace& slab) {
  const uint32_t blocks = kBlockSizeTable[slab.size_index].blocks_per_slab;
  bool any = false;
  for (uint32_t start = 0; start < blocks; start += 64) {
    uint64_t bits = 0;
    for (uint32_t i = start; i < blocks && i < start + 64; ++i) {
      const uint64_t word = region_.block_entry(block_of(slab.first, i)).word.load_relaxed();
      if (word == free_block_word(slab.generation)) bits |= uint64_t{1} << (i - start);
    }
    SharedU64& hint = region_.slab_hint(slab.first + start / 64);
    if ((bits & ~hint.load_relaxed()) != 0) hint.set_bits(bits);
    any = any || bits != 0;
  }
  SharedU64& hint = region_.size_hint(slab.size_index, slab.first / 64);
  const uint64_t bit = uint64_t{1} << (slab.first % 64);
  if (any && (hint.load_relaxed() & bit) == 0) hint.set_bits(bit);
}

size_t Slabs::take_bits(const SlabPlace& slab, uint64_t word, uint32_t* blocks, size_t wanted) {
  SharedU64& hint = region_.slab_hint(slab.first + word);
  if (hint.load_relaxed() == 0) return 0;
  uint64_t bits = hint.take_and_set(0);
  size_t count = 0;
  while (bits != 0 && count < wanted) {
    const auto bit = static_cast<uint32_t>(std::countr_zero(bits));
    bits &= bits - 1;
    const uint64_t index = word * 64 + bit;
    if (index >= kBlockSizeTable[slab.size_index].blocks_per_slab) continue;
    const uint32_t block = block_of(slab.first, index);
    if (region_.block_entry(block).word.change(
            free_block_word(slab.generation),
            block_word(BlockState::kCached, me_, slab.generation))) {
      blocks[count++] = block;
    }
  }
  if (bits != 0) hint.set_bits(bits);
  return count;
}

size_t Slabs::take_from(const SlabPlace& slab, uint32_t* blocks, size_t wanted) {
  const uint64_t words = divide_up(kBlockSizeTable[slab.size_index].blocks_per_slab, 64);
  size_t count = 0;
  for (uint64_t word = 0; word < words && count < wanted; ++word) {
    count += take_bits(slab, word, blocks + count, wanted - count);
  }
  return count;
}

ep_ring_error Slabs::take(size_t size_index, Tag owner, bool is_new_allowed, uint32_t* blocks,
                          size_t wanted, size_t* count) {
  const uint64_t words = region_.geometry().granules_max / 64;
  *count = 0;
  for (uint64_t i = 0; i < words && *count < wanted; ++i) {
    const uint64_t at = (cursor_[size_index] + i) % words;
    SharedU64& hint = region_.size_hint(size_index, at);
    for (uint64_t bits = hint.load_relaxed(); bits != 0 && *count < wanted; bits &= bits - 1) {
      const auto bit = static_cast<unsigned>(std::countr_zero(bits));
      SlabPlace slab;
      const bool is_right =
          find_slab(at * 64 + bit, &slab) && !slab.is_dissolving && slab.size_index == size_index;
      if (is_right && slab.owner != owner) continue;
      const size_t taken = is_right ? take_from(slab, blocks + *count, wanted - *count) : 0;
      *count += taken;
      // Empty, as it seems. Who frees a block from now on finds its word 0 and sets this bit again.
      if (taken == 0) hint.clear_bits(uint64_t{1} << bit);
      if (taken == 0 && is_right) restore_hints(slab);
    }
    if (*count != 0) cursor_[size_index] = at;
  }
  if (*count != 0) return EP_RING_OK;
  if (!is_new_allowed) return EP_RING_NO_MEMORY;
  uint64_t first = 0;
  const ep_ring_error error = make(size_index, owner, &first);
  if (error != EP_RING_OK) return error;
  SlabPlace slab;
  if (find_slab(first, &slab)) *count = take_from(slab, blocks, wanted);
  return *count != 0 ? EP_RING_OK : EP_RING_NO_MEMORY;
}

void Slabs::put(uint32_t block, const BlockPlace& place, uint64_t word) {
  if (!place.entry->word.change(word, free_block_word(place.slab_generation))) return;
  const uint64_t bit = uint64_t{1} << (block % 64);
  const uint64_t before = region_.slab_hint(block / 64).set_bits(bit);
  if (before != 0) return;
  const uint64_t at = place.first_granule;
  SharedU64& hint = region_.size_hint(place.size_index, at / 64);
  if ((hint.load_relaxed() >> (at % 64) & 1) == 0) hint.set_bits(uint64_t{1} << (at % 64));
}

bool Slabs::dissolve(const SlabPlace& slab) {
  const uint64_t whole = block_word(BlockState::kSlab, slab.owner, slab.generation);
  const uint64_t dissolving = block_word(BlockState::kDissolving, me_, slab.generation);
  SharedU64& first = region_.granule(slab.first).word;
  const uint32_t blocks = kBlockSizeTable[slab.size_index].blocks_per_slab;
  for (uint32_t i = 0; i < blocks; ++i) {
    const uint64_t word = region_.block_entry(block_of(slab.first, i)).word.load_relaxed();
    if (word != free_block_word(slab.generation)) return false;
  }
  if (!first.change(whole, dissolving)) return false;
  for (uint32_t i = 0; i < blocks; ++i) {
    if (region_.block_entry(block_of(slab.first, i))
            .word.change(free_block_word(slab.generation),
                         block_word(BlockState::kRetired, me_, slab.generation))) {
      continue;
    }
    undo_dissolving(slab.first, region_.granule_info(slab.first).load_relaxed(), dissolving,
                    slab.owner);
    return false;
  }
  for (uint64_t w = 0; w < divide_up(blocks, 64); ++w) {
    region_.slab_hint(slab.first + w).store_relaxed(0);
  }
  first.store_release(block_word(BlockState::kFreeing, me_, 0));
  const uint64_t granules = kBlockSizeTable[slab.size_index].slab_granules;
  runs_.free(slab.first, granules);
  if (slab.owner == me_) own_granules_ -= granules;
  return true;
}

void Slabs::undo_dissolving(uint64_t first, uint32_t info, uint64_t word, Tag owner) {
  const size_t size_index = slab_info_index(info);
  if (!is_slab_info(info) || size_index >= kBlockSizes ||
      first + kBlockSizeTable[size_index].slab_granules > region_.geometry().granules_max) {
    return;
  }
  const SlabPlace slab{first, static_cast<uint32_t>(size_index), block_low(word), owner, false};
  const uint64_t retired = block_word(BlockState::kRetired, block_tag(word), slab.generation);
  for (uint32_t i = 0; i < kBlockSizeTable[size_index].blocks_per_slab; ++i) {
    region_.block_entry(block_of(first, i)).word.change(retired, free_block_word(slab.generation));
  }
  region_.granule(first).word.change(word, block_word(BlockState::kSlab, owner, slab.generation));
  restore_hints(slab);
}

uint64_t Slabs::dissolve_empty() {
  uint64_t freed = 0;
  const uint64_t end = runs_.granules();
  for (uint64_t granule = 0; granule < end; ++granule) {
    SlabPlace slab;
    if (!find_slab(granule, &slab) || slab.is_dissolving) continue;
    // A consumer's own slabs stay its own.
    if (slab.owner != kNobody && slab.owner != me_) continue;
    if (dissolve(slab)) freed += kBlockSizeTable[slab.size_index].slab_granules;
  }
  return freed;
}

}  // namespace elasticpool
