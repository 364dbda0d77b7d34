// Slabs of the pool: runs of granules cut into blocks of one size.
//
// Threads     any; a Slabs object by one at a time. Lock-free.
// Invariants  a block's word is the truth: free (of this slab's generation), or whose it is. Bits
//             in slab_hint and size_hint say where to look: set for a block that is taken they
//             cost a refused change, missing for a free one they are set again by a sweep, or by
//             restore_hints() before the pool calls itself exhausted.
//             A free word carries the generation of its slab, so that who looked at a slab that was
//             dissolved meanwhile is refused by the next one in its place.
// Owners      a slab belongs to all, or to one consumer that asked for slabs of its own: then
//             nobody else allocates from it. When the consumer leaves it belongs to all.
// Cost        one change a block, one exchange for up to 64.
#pragma once

#include "ring/runs.h"

namespace elasticpool {

// A block, or a run of granules, as its words tell.
struct BlockPlace {
  BlockEntry* entry = nullptr;
  uint64_t offset = 0;  // of its bytes among the payloads
  uint64_t capacity_bytes = 0;
  uint64_t first_granule = 0;  // of its slab or run
  uint32_t slab_generation = 0;
  uint32_t size_index = 0;   // of a slab's block
  Tag slab_owner = kNobody;  // the consumer whose slab it is
  bool is_run = false;
};

struct SlabPlace {
  uint64_t first = 0;
  uint32_t size_index = 0;
  uint32_t generation = 0;
  Tag owner = kNobody;
  bool is_dissolving = false;  // somebody tries to take it apart: nothing is taken from it
};

class Slabs {
 public:
  Slabs(Region& region, Runs& runs, Tag me) : region_(region), runs_(runs), me_(me) {}

  // Up to `wanted` blocks, cached by us. From slabs of `owner`; is_new_allowed: a slab may be made.
  // *count may be 0 only with an error.
  ep_ring_error take(size_t size_index, Tag owner, bool is_new_allowed, uint32_t* blocks,
                     size_t wanted, size_t* count);
  // Sets the word of a block that we own to free; `word` is what it says now.
  void put(uint32_t block, const BlockPlace& place, uint64_t word);

  // Where a block lies; false for what is none at this moment.
  EP_ALWAYS_INLINE bool find(uint32_t block, BlockPlace* place) const;
  bool find_slab(uint64_t granule, SlabPlace* slab) const;

  // Of the slabs that are ours alone.
  uint64_t own_granules() const { return own_granules_; }
  // Takes empty slabs apart; the granules freed.
  uint64_t dissolve_empty();
  // Half dissolved by us or by a member whose part we take: a slab again, of `owner`.
  void undo_dissolving(uint64_t first, uint32_t info, uint64_t word, Tag owner);
  // A bit for every free block of a slab.
  void restore_hints(const SlabPlace& slab);

 private:
  bool find_run(uint32_t block, BlockPlace* place) const;
  ep_ring_error make(size_t size_index, Tag owner, uint64_t* first);
  size_t take_from(const SlabPlace& slab, uint32_t* blocks, size_t wanted);
  size_t take_bits(const SlabPlace& slab, uint64_t word, uint32_t* blocks, size_t wanted);
  bool dissolve(const SlabPlace& slab);

  Region& region_;
  Runs& runs_;
  const Tag me_;
  uint64_t own_granules_ = 0;
  uint64_t cursor_[kBlockSizes] = {};  // where the last slab with free blocks was
};

bool Slabs::find(uint32_t block, BlockPlace* place) const {
  if (EP_UNLIKELY((block & kRunBlock) != 0)) return find_run(block, place);
  uint64_t first = block / kLinesPerGranule;
  const uint64_t granules = region_.geometry().granules_max;
  if (first >= granules) return false;
  uint64_t word = region_.granule(first).word.load_acquire();
  if (block_state(word) == BlockState::kTail) {
    if (block_low(word) > first) return false;
    first -= block_low(word);
    word = region_.granule(first).word.load_acquire();
  }
  // One that somebody takes apart still has its blocks, until he has them all.
  if (block_state(word) != BlockState::kSlab && block_state(word) != BlockState::kDissolving) {
    return false;
  }
  const uint32_t info = region_.granule_info(first).load_relaxed();
  const size_t size_index = slab_info_index(info);
  if (!is_slab_info(info) || size_index >= kBlockSizes) return false;
  const BlockSize& size = kBlockSizeTable[size_index];
  const uint64_t index = block - first * kLinesPerGranule;
  if (index >= size.blocks_per_slab || first + size.slab_granules > granules) return false;
  place->entry = &region_.block_entry(block);
  place->offset = first * kRingGranuleBytes + index * size.block_bytes;
  place->capacity_bytes = size.block_bytes;
  place->first_granule = first;
  place->slab_generation = block_low(word);
  place->size_index = static_cast<uint32_t>(size_index);
  place->slab_owner = block_tag(word);
  place->is_run = false;
  return true;
}

}  // namespace elasticpool
