// The sizes of blocks that slabs of the ring's pool serve, and how long their slabs are.
//
// Pure: tables made by the compiler; tested exhaustively.
//
// Spacing     multiples of 64 up to 512, then four a doubling up to 8 KiB: above 512 bytes at most
//             a fifth of a block is unused (a message's header lies in the ring, not in the block).
// Slab        1 to 16 granules, the fewest that hold eight blocks and waste at most 1/32 at the
//             end, or else the count that wastes least.
// Larger      blocks are runs of granules: buddy/frame_bits.h places those of up to 32.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bits.h"

namespace elasticpool {

inline constexpr size_t kLineBytes = 64;
inline constexpr size_t kRingGranuleBytes = 4096;
inline constexpr size_t kLinesPerGranule = kRingGranuleBytes / kLineBytes;
inline constexpr size_t kSlabBlockBytesMax = 8192;
inline constexpr size_t kRingSlabGranulesMax = 16;
inline constexpr size_t kRingLinearBytesMax = 512;
inline constexpr size_t kRingLinearSizes = kRingLinearBytesMax / kLineBytes;
inline constexpr size_t kSizesPerDoubling = 4;
inline constexpr size_t kBlockSizes =
    kRingLinearSizes +
    kSizesPerDoubling * (floor_log2(kSlabBlockBytesMax) - floor_log2(kRingLinearBytesMax));

struct BlockSize {
  uint32_t block_bytes;
  uint32_t slab_granules;
  uint32_t blocks_per_slab;
};

constexpr size_t block_bytes_at(size_t index) {
  if (index < kRingLinearSizes) return (index + 1) * kLineBytes;
  const size_t step = index - kRingLinearSizes;
  const size_t base = kRingLinearBytesMax << (step / kSizesPerDoubling);
  return base + base / kSizesPerDoubling * (step % kSizesPerDoubling + 1);
}

constexpr std::array<BlockSize, kBlockSizes> make_block_sizes() {
  std::array<BlockSize, kBlockSizes> table{};
  for (size_t i = 0; i < kBlockSizes; ++i) {
    const size_t block = block_bytes_at(i);
    size_t best = 0;
    size_t best_waste_per_mille = 1000;
    for (size_t granules = 1; granules <= kRingSlabGranulesMax; ++granules) {
      const size_t bytes = granules * kRingGranuleBytes;
      if (bytes < 8 * block) continue;
      const size_t waste_per_mille = bytes % block * 1000 / bytes;
      if (waste_per_mille >= best_waste_per_mille) continue;
      best = granules;
      best_waste_per_mille = waste_per_mille;
      if (waste_per_mille <= 31) break;
    }
    table[i] = {static_cast<uint32_t>(block), static_cast<uint32_t>(best),
                static_cast<uint32_t>(best * kRingGranuleBytes / block)};
  }
  return table;
}
inline constexpr auto kBlockSizeTable = make_block_sizes();
static_assert(kBlockSizeTable[kBlockSizes - 1].block_bytes == kSlabBlockBytesMax);

// bytes <= kSlabBlockBytesMax; 0 counts as 1.
constexpr size_t block_size_index(size_t bytes) {
  if (bytes <= kRingLinearBytesMax) return bytes == 0 ? 0 : (bytes - 1) / kLineBytes;
  const unsigned doubling = floor_log2(bytes - 1);
  const size_t base = size_t{1} << doubling;
  return kRingLinearSizes + kSizesPerDoubling * (doubling - floor_log2(kRingLinearBytesMax)) +
         (bytes - 1 - base) / (base / kSizesPerDoubling);
}

constexpr size_t granules_of(size_t bytes) { return divide_up(bytes, kRingGranuleBytes); }

}  // namespace elasticpool
