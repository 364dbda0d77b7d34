// Taking and giving back runs of granules.
#include "ring/runs.h"

#include "buddy/frame_bits.h"

namespace elasticpool {
namespace {

constexpr uint64_t kFrameOfGranulesBytes = kGranulesPerWord * kRingGranuleBytes;

}  // namespace

uint64_t Runs::granules() const {
  const uint64_t now = region_.header().granules.load_relaxed();
  const uint64_t most = region_.geometry().granules_max;
  return now < most ? now : most;
}

void Runs::set_hints(uint64_t first, uint64_t count, bool free) {
  while (count != 0) {
    const auto at = static_cast<unsigned>(first % kGranulesPerWord);
    const uint64_t left = kGranulesPerWord - at;
    const auto here = static_cast<unsigned>(count < left ? count : left);
    SharedU32& hint = region_.free_hint(first / kGranulesPerWord);
    if (free) {
      hint.set_bits(run_bits(at, here));
    } else {
      hint.clear_bits(run_bits(at, here));
    }
    first += here;
    count -= here;
  }
}

bool Runs::claim(uint64_t first, uint64_t count, uint64_t* busy) {
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t wanted = i == 0 ? block_word(BlockState::kBuilding, me_, 0)
                                   : block_word(BlockState::kTail, me_, static_cast<uint32_t>(i));
    if (region_.granule(first + i).word.change(kFreeGranule, wanted)) continue;
    *busy = first + i;
    // The first last, as in free().
    for (uint64_t j = i; j-- > 0;) {
      region_.granule(first + j).word.store_release(kFreeGranule);
    }
    return false;
  }
  set_hints(first, count, false);
  return true;
}

ep_ring_error Runs::back(uint64_t first, uint64_t count) {
  for (uint64_t frame = first / kGranulesPerWord; frame <= (first + count - 1) / kGranulesPerWord;
       ++frame) {
    SharedU32& backed = region_.backed(frame);
    const uint32_t bit = uint32_t{1} << (frame % 32);
    if ((backed.load_relaxed() & bit) != 0) continue;
    const ep_ring_error error = region_.back(
        region_.geometry().payloads + frame * kFrameOfGranulesBytes, kFrameOfGranulesBytes);
    if (error != EP_RING_OK) return error;
    backed.set_bits(bit);
  }
  return EP_RING_OK;
}

ep_ring_error Runs::claim_and_back(uint64_t first, uint64_t count, bool* claimed) {
  uint64_t busy = 0;
  *claimed = claim(first, count, &busy);
  if (!*claimed) {
    set_hints(busy, 1, false);
    return EP_RING_OK;
  }
  const ep_ring_error error = back(first, count);
  if (error == EP_RING_OK) return EP_RING_OK;
  region_.granule(first).word.store_release(block_word(BlockState::kFreeing, me_, 0));
  free(first, count);
  *claimed = false;
  return error;
}

ep_ring_error Runs::allocate_aligned(uint64_t count, uint64_t* first) {
  const unsigned order = ceil_log2(count);
  const uint64_t frames = granules() / kGranulesPerWord;
  for (uint64_t frame = first_frame_; frame < frames;) {
    const FrameBits free = region_.free_hint(frame).load_relaxed();
    if (free == 0 && frame == first_frame_) first_frame_ = frame + 1;
    if (free_blocks(free, order) == 0) {
      ++frame;
      continue;
    }
    // A place that is refused loses its hint: the loop ends.
    bool claimed = false;
    *first = frame * kGranulesPerWord + choose_block(free, order);
    const ep_ring_error error = claim_and_back(*first, count, &claimed);
    if (error != EP_RING_OK || claimed) return error;
  }
  return EP_RING_NO_MEMORY;
}

ep_ring_error Runs::allocate_anywhere(uint64_t count, uint64_t* first) {
  const uint64_t end = granules();
  uint64_t length = 0;
  for (uint64_t at = 0; at < end;) {
    const FrameBits free = region_.free_hint(at / kGranulesPerWord).load_relaxed();
    if (at % kGranulesPerWord == 0 && free == 0) {
      length = 0;
      at += kGranulesPerWord;
      continue;
    }
    length = (free >> (at % kGranulesPerWord) & 1) != 0 ? length + 1 : 0;
    ++at;
    if (length < count) continue;
    bool claimed = false;
    *first = at - count;
    const ep_ring_error error = claim_and_back(*first, count, &claimed);
    if (error != EP_RING_OK || claimed) return error;
    at = *first;
    length = 0;
  }
  return EP_RING_NO_MEMORY;
}

ep_ring_error Runs::allocate(uint64_t count, uint64_t* first) {
  if (count == 0 || count > region_.geometry().granules_max) return EP_RING_NO_MEMORY;
  ep_ring_error error = EP_RING_NO_MEMORY;
  // Of what lies well below a power of two the tail would stay, too short for another.
  const bool is_aligned = count <= kGranulesPerWord / 2 || count == kGranulesPerWord;
  if (is_aligned) error = allocate_aligned(count, first);
  if (error == EP_RING_NO_MEMORY) error = allocate_anywhere(count, first);
  return error;
}

void Runs::free(uint64_t first, uint64_t count) {
  for (uint64_t i = count; i-- > 1;) {
    SharedU64& word = region_.granule(first + i).word;
    // A word that is no tail of this run was scribbled over, or freed before a death.
    const uint64_t value = word.load_relaxed();
    if (block_state(value) == BlockState::kTail && block_low(value) == i) {
      word.store_release(kFreeGranule);
    }
  }
  region_.granule(first).word.store_release(kFreeGranule);
  set_hints(first, count, true);
  if (first / kGranulesPerWord < first_frame_) first_frame_ = first / kGranulesPerWord;
}

uint64_t Runs::length_of(uint64_t first) const {
  uint64_t length = 1;
  while (first + length < region_.geometry().granules_max) {
    const uint64_t word = region_.granule(first + length).word.load_relaxed();
    if (block_state(word) != BlockState::kTail || block_low(word) != length) break;
    ++length;
  }
  return length;
}

bool Runs::grow() {
  const uint64_t now = granules();
  const uint64_t most = region_.geometry().granules_max;
  if (now >= most) return false;
  uint64_t step = round_up(region_.config().growth_bytes / kRingGranuleBytes, kGranulesPerWord);
  if (step == 0) step = kGranulesPerWord;
  const uint64_t grown = now + step < most ? now + step : most;
  // Hints first: who sees the new size finds them, and who does not, does not look there.
  for (uint64_t frame = now / kGranulesPerWord; frame < grown / kGranulesPerWord; ++frame) {
    region_.free_hint(frame).set_bits(kAllFree);
  }
  // Another who grew it at this moment has done as well.
  region_.header().granules.change(now, grown);
  first_frame_ = 0;
  return true;
}

bool Runs::find_first(uint64_t granule, uint64_t* first) const {
  if (granule >= region_.geometry().granules_max) return false;
  const uint64_t word = region_.granule(granule).word.load_acquire();
  *first = granule;
  if (block_state(word) != BlockState::kTail) return true;
  if (block_low(word) > granule) return false;
  *first = granule - block_low(word);
  return true;
}

}  // namespace elasticpool
