// What programs ask for within a size class, and what a class between would save.
//
// Pure: numbers in, numbers out.
//
// Sample     only misses are looked at: a request that finds its magazine empty. It stands for the
//            batch that it fetches (its weight), for those are what the next requests get.
//            Fair where sizes come in no order that keeps step with the batches. What is freed and
//            asked for again without a miss is not seen: the sample tells of the memory that grew.
// Bins       the class's range, from the size above the next smaller class to its own, in
//            kPatternBins equal parts. So what a class at the end of a bin would save is exact for
//            the sample, and an estimate for the live blocks.
// Invariant  weight = sum of the bins < 2^32; when a bin comes to kWeightMax all are halved: old
//            requests count less. Only proportions are used.
// Threads    record(): the owner. The rest: any, over a copy that may be of several moments.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/owner_cell.h"
#include "slab/block_codes.h"
#include "slab/size_classes.h"

namespace elasticpool {

inline constexpr size_t kPatternBins = 8;
inline constexpr uint32_t kWeightMax = UINT32_MAX / kPatternBins;

// The largest size that belongs to the class below; 0 for the first.
constexpr size_t below_class(ClassId id) {
  return block_bytes_of(id) - size_class(id).inner_waste_max - 1;
}

// below_class(id) < bytes <= block_bytes_of(id).
constexpr size_t pattern_bin(ClassId id, size_t bytes) {
  const size_t below = below_class(id);
  return (bytes - below - 1) * kPatternBins / (block_bytes_of(id) - below);
}

// A sum over samples.
struct PatternSum {
  uint64_t bins[kPatternBins] = {};
  uint64_t unused_bytes = 0;  // of the sampled blocks

  constexpr uint64_t weight() const {
    uint64_t sum = 0;
    for (const uint64_t bin : bins) sum += bin;
    return sum;
  }
  // An estimate; 0 without samples.
  constexpr uint64_t unused_bytes_of(uint64_t live_blocks) const {
    const uint64_t all = weight();
    if (all == 0) return 0;
    return static_cast<uint64_t>(static_cast<unsigned __int128>(unused_bytes) * live_blocks / all);
  }
};

class RequestPattern {
 public:
  // bytes <= block_bytes_of(id). Requests of an aligned block may be smaller than any other of the
  // class: no class would help them.
  void record(ClassId id, size_t bytes, uint32_t weight) {
    if (bytes == 0) bytes = 1;
    if (bytes <= below_class(id)) return;
    OwnerCell<uint32_t>& bin = bins_[pattern_bin(id, bytes)];
    if (bin.get() > kWeightMax - weight) halve();
    bin.set(bin.get() + weight);
    unused_bytes_.set(unused_bytes_.get() + weight * (block_bytes_of(id) - bytes));
  }

  void add_to(PatternSum* sum) const {
    for (size_t i = 0; i < kPatternBins; ++i) sum->bins[i] += bins_[i].peek();
    sum->unused_bytes += unused_bytes_.peek();
  }

 private:
  void halve() {
    for (OwnerCell<uint32_t>& bin : bins_) bin.set(bin.get() / 2);
    unused_bytes_.set(unused_bytes_.get() / 2);
  }

  OwnerCell<uint32_t> bins_[kPatternBins];
  OwnerCell<uint64_t> unused_bytes_;
};

struct NewClass {
  size_t block_bytes = 0;  // 0: none would save anything
  uint64_t saved_bytes = 0;
};

// The one class between this and the next smaller that would save most of the live blocks' bytes.
// Its size is the end of a bin, and a multiple of the steps of the class's zone.
constexpr NewClass best_new_class(ClassId id, const PatternSum& sum, uint64_t live_blocks) {
  const size_t below = below_class(id);
  const size_t range = block_bytes_of(id) - below;
  const size_t step = size_t{1} << shape_of(zone_kind_of(id)).step_shift;
  const uint64_t all = sum.weight();
  NewClass best;
  uint64_t smaller = 0;
  for (size_t bin = 0; all != 0 && bin + 1 < kPatternBins; ++bin) {
    smaller += sum.bins[bin];
    const size_t end = (bin + 1) * range / kPatternBins;
    if (end * kPatternBins != (bin + 1) * range || (below + end) % step != 0) continue;
    const auto saved = static_cast<uint64_t>(static_cast<unsigned __int128>(smaller) * live_blocks *
                                             (range - end) / all);
    if (saved > best.saved_bytes) best = {below + end, saved};
  }
  return best;
}

}  // namespace elasticpool
