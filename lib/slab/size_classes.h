// The size classes: which sizes slabs serve, how large their slabs are, and what is wasted.
//
// Pure: tables made by the compiler; tested exhaustively (every size up to 1 MiB).
//
// Spacing      16 bytes up to 128, then eight classes a doubling (after jemalloc's and Hoard's
//              geometric spacing, twice as fine): above 128 bytes at most 1/9 of a block is unused.
// Zones        classes up to kTinyBytesMax lie in the tiny zone, those up to kSmallBytesMax in the
//              small zone, those above in the medium zone, where every class is a multiple of that
//              zone's step (128).
// Slab         of blocks up to kQuarterBlockBytesMax a quarter of a granule (quarters.h): a class
//              keeps the pages of a slab until all its blocks are back, so the more the larger it
//              is. (Of larger blocks it would have few, and come and go too often.) Else 1, 2, 4 or
//              8 granules (other counts would leave holes between slabs in a frame): the fewest
//              that waste at most 1/16 at the end of the slab, or else the count that wastes least.
//              (Addresses: what is never a block is never touched. With 1/32 a class that is used a
//              little kept up to twice the pages.)
// Alignment    a slab starts at a multiple of kQuarterBytes, so block i of a class is aligned to
//              the largest power of two that divides the block size.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bits.h"
#include "base/units.h"

namespace elasticpool {

inline constexpr size_t kTinyBytesMax = 64;
inline constexpr size_t kSmallBytesMax = 1024;
inline constexpr size_t kLinearBytesMax = 128;
inline constexpr size_t kClassesPerDoubling = 8;
inline constexpr size_t kLinearClasses = kLinearBytesMax / kMinAlignBytes;
// The classes of the tiny zone come first, then those of the small one, then those of the medium.
inline constexpr size_t kFirstSmallClass = kTinyBytesMax / kMinAlignBytes;
inline constexpr size_t kFirstMediumClass =
    kLinearClasses +
    kClassesPerDoubling * (floor_log2(kSmallBytesMax) - floor_log2(kLinearBytesMax));
inline constexpr size_t kClasses =
    kFirstMediumClass +
    kClassesPerDoubling * (floor_log2(kSlabBytesMax) - floor_log2(kSmallBytesMax));
inline constexpr size_t kSlabGranulesMax = 8;
inline constexpr size_t kQuarterBytes = kGranuleBytes / 4;
inline constexpr size_t kQuarterBlockBytesMax = 512;
static_assert(kTinyBytesMax <= kQuarterBlockBytesMax && kQuarterBlockBytesMax <= kSmallBytesMax);

struct SizeClass {
  uint32_t block_bytes;
  uint32_t blocks_per_slab;
  uint32_t slab_bytes;
  uint32_t tail_waste_bytes;  // at the end of a slab
  uint32_t inner_waste_max;   // block_bytes minus the smallest request that comes here
  uint64_t reciprocal;        // ceil(2^kReciprocalShift / block_bytes)
};

inline constexpr unsigned kReciprocalShift = 40;

constexpr size_t block_bytes_of_class(size_t index) {
  if (index < kLinearClasses) return (index + 1) * kMinAlignBytes;
  const size_t step = index - kLinearClasses;
  const size_t base = kLinearBytesMax << (step / kClassesPerDoubling);
  return base + base / kClassesPerDoubling * (step % kClassesPerDoubling + 1);
}

constexpr size_t slab_bytes_for(size_t block_bytes) {
  if (block_bytes <= kQuarterBlockBytesMax) return kQuarterBytes;
  size_t best = 1;
  size_t best_waste_per_mille = 1000;
  for (size_t granules = 1; granules <= kSlabGranulesMax; granules *= 2) {
    const size_t bytes = granules * kGranuleBytes;
    const size_t waste = bytes % block_bytes;
    if (waste * 16 <= bytes) return bytes;
    if (waste * 1000 / bytes < best_waste_per_mille) {
      best_waste_per_mille = waste * 1000 / bytes;
      best = granules;
    }
  }
  return best * kGranuleBytes;
}

constexpr std::array<SizeClass, kClasses> make_size_classes() {
  std::array<SizeClass, kClasses> table{};
  size_t previous = 0;
  for (size_t i = 0; i < kClasses; ++i) {
    const size_t block = block_bytes_of_class(i);
    const size_t bytes = slab_bytes_for(block);
    table[i].block_bytes = static_cast<uint32_t>(block);
    table[i].slab_bytes = static_cast<uint32_t>(bytes);
    table[i].blocks_per_slab = static_cast<uint32_t>(bytes / block);
    table[i].tail_waste_bytes = static_cast<uint32_t>(bytes % block);
    table[i].inner_waste_max = static_cast<uint32_t>(block - previous - 1);
    table[i].reciprocal = ((uint64_t{1} << kReciprocalShift) + block - 1) / block;
    previous = block;
  }
  return table;
}

inline constexpr std::array<SizeClass, kClasses> kSizeClasses = make_size_classes();

// Class by size: byte by byte up to kSmallBytesMax, in steps of 128 bytes above.
constexpr std::array<uint8_t, kSmallBytesMax + 1> make_class_by_bytes() {
  std::array<uint8_t, kSmallBytesMax + 1> table{};
  size_t index = 0;
  for (size_t bytes = 0; bytes <= kSmallBytesMax; ++bytes) {
    while (kSizeClasses[index].block_bytes < bytes) ++index;
    table[bytes] = static_cast<uint8_t>(index);
  }
  return table;
}

inline constexpr auto kClassByBytes = make_class_by_bytes();

inline constexpr size_t kMediumStepBytes = 128;
inline constexpr size_t kMediumSteps = kSlabBytesMax / kMediumStepBytes + 1;

constexpr std::array<uint8_t, kMediumSteps> make_class_by_step() {
  std::array<uint8_t, kMediumSteps> table{};
  size_t index = 0;
  for (size_t step = 0; step < kMediumSteps; ++step) {
    while (kSizeClasses[index].block_bytes < step * kMediumStepBytes) ++index;
    table[step] = static_cast<uint8_t>(index);
  }
  return table;
}

inline constexpr auto kClassByStep = make_class_by_step();

// kSmallBytesMax < bytes <= kSlabBytesMax.
constexpr ClassId class_of_medium_size(size_t bytes) {
  return ClassId{kClassByStep[(bytes + kMediumStepBytes - 1) / kMediumStepBytes]};
}

// The smallest class that holds `bytes` (0 as 1); bytes <= kSlabBytesMax.
constexpr ClassId class_of_size(size_t bytes) {
  if (bytes <= kSmallBytesMax) return ClassId{kClassByBytes[bytes]};
  return class_of_medium_size(bytes);
}

constexpr const SizeClass& size_class(ClassId id) { return kSizeClasses[index_of(id)]; }
constexpr size_t block_bytes_of(ClassId id) { return kSizeClasses[index_of(id)].block_bytes; }

// Block index of an offset into a slab of the class. Exact: offset < 2^19 and block_bytes <= 2^15,
// so the error of the reciprocal stays below 2^34 < 2^kReciprocalShift.
constexpr size_t block_index(const SizeClass& c, size_t offset_bytes) {
  return static_cast<size_t>(offset_bytes * c.reciprocal >> kReciprocalShift);
}

static_assert(kClasses < 255, "a class is one byte");
static_assert(block_bytes_of_class(kFirstSmallClass - 1) == kTinyBytesMax);
static_assert(block_bytes_of_class(kFirstMediumClass - 1) == kSmallBytesMax);
static_assert(block_bytes_of_class(kClasses - 1) == kSlabBytesMax);
static_assert(kSlabGranulesMax * kGranuleBytes <= size_t{1} << 19);

}  // namespace elasticpool
