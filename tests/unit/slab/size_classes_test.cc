// slab/size_classes.h, exhaustively: every size, every block, every bound that the header claims.
#include "slab/size_classes.h"

#include <gtest/gtest.h>

#include "slab/slab.h"

namespace elasticpool {
namespace {

ClassId class_at(size_t index) { return ClassId{static_cast<uint8_t>(index)}; }

TEST(SizeClasses, EverySizeHasItsSmallestClass) {
  size_t index = 0;
  for (size_t bytes = 0; bytes <= kSlabBytesMax; ++bytes) {
    while (kSizeClasses[index].block_bytes < bytes) ++index;
    const ClassId id = class_of_size(bytes);
    ASSERT_EQ(index_of(id), index) << bytes;
    ASSERT_GE(block_bytes_of(id), bytes);
    if (index > 0) {
      ASSERT_LT(block_bytes_of(class_at(index - 1)), bytes);
    }
  }
  EXPECT_EQ(index, kClasses - 1) << "the last class serves the largest size";
}

// Above the slabs whole granules are handed out.
TEST(SizeClasses, EverySizeOfTheBuddyTierFitsAFrame) {
  for (size_t bytes = kSlabBytesMax + 1; bytes <= kBuddyBytesMax; ++bytes) {
    const size_t granules = divide_up(bytes, kGranuleBytes);
    ASSERT_LE(granules, kGranulesPerFrame / 2) << bytes;
    ASSERT_LT(granules * kGranuleBytes - bytes, kGranuleBytes) << bytes;
  }
}

TEST(SizeClasses, TableSaysWhatItHolds) {
  size_t previous = 0;
  for (size_t i = 0; i < kClasses; ++i) {
    const SizeClass& c = kSizeClasses[i];
    SCOPED_TRACE(testing::Message() << "class of " << c.block_bytes);
    const size_t slab_bytes = c.slab_bytes;
    const size_t granules = slab_bytes / kGranuleBytes;
    ASSERT_GT(c.block_bytes, previous);
    EXPECT_EQ(c.block_bytes % kMinAlignBytes, 0U);
    if (c.block_bytes <= kQuarterBlockBytesMax) {
      EXPECT_EQ(slab_bytes, kQuarterBytes);
    } else {
      EXPECT_EQ(slab_bytes % kGranuleBytes, 0U);
      EXPECT_GE(granules, 1U);
      EXPECT_LE(granules, kSlabGranulesMax);
      EXPECT_TRUE(is_power_of_two(granules)) << "leaves holes in a frame";
    }
    EXPECT_EQ(c.blocks_per_slab, slab_bytes / c.block_bytes);
    EXPECT_EQ(c.tail_waste_bytes, slab_bytes - size_t{c.blocks_per_slab} * c.block_bytes);
    EXPECT_EQ(c.inner_waste_max, c.block_bytes - (previous + 1));
    const ZoneKind kind = zone_kind_of(class_at(i));
    EXPECT_EQ(kind == ZoneKind::kTiny, c.block_bytes <= kTinyBytesMax);
    EXPECT_EQ(kind == ZoneKind::kMedium, c.block_bytes > kSmallBytesMax);
    EXPECT_GE(c.block_bytes, size_t{1} << shape_of(kind).unit_shift) << "two start in a unit";
    EXPECT_EQ(c.block_bytes % (size_t{1} << shape_of(kind).step_shift), 0U);
    previous = c.block_bytes;
  }
  EXPECT_EQ(previous, kSlabBytesMax);
}

TEST(SizeClasses, Spacing) {
  for (size_t i = 0; i < kClasses; ++i) {
    const SizeClass& c = kSizeClasses[i];
    if (c.block_bytes <= 128) {
      EXPECT_EQ(c.block_bytes, 16 * (i + 1));
    } else {
      EXPECT_LT(c.inner_waste_max * 9, c.block_bytes) << "at most 1/9 of a block is unused";
    }
  }
  // Eight classes a doubling.
  for (size_t bytes = 256; bytes <= kSlabBytesMax; bytes *= 2) {
    EXPECT_EQ(index_of(class_of_size(bytes)) - index_of(class_of_size(bytes / 2)), 8U) << bytes;
  }
}

TEST(SizeClasses, SlabIsTheShortestThatWastesLittle) {
  for (const SizeClass& c : kSizeClasses) {
    SCOPED_TRACE(testing::Message() << "class of " << c.block_bytes);
    if (c.block_bytes <= kQuarterBlockBytesMax) {
      EXPECT_LE(c.tail_waste_bytes * 16, c.slab_bytes) << "a quarter of a granule will not do";
      continue;
    }
    const auto wastes_little = [&c](size_t granules) {
      return granules * kGranuleBytes % c.block_bytes * 16 <= granules * kGranuleBytes;
    };
    for (size_t granules = 1; granules < c.slab_bytes / kGranuleBytes; granules *= 2) {
      EXPECT_FALSE(wastes_little(granules)) << granules << " would do";
    }
    if (wastes_little(c.slab_bytes / kGranuleBytes)) continue;
    // None wastes that little: then none of all lengths wastes less, to a thousandth.
    const double waste =
        static_cast<double>(c.tail_waste_bytes) / static_cast<double>(c.slab_bytes);
    for (size_t granules = 1; granules <= kSlabGranulesMax; granules *= 2) {
      EXPECT_FALSE(wastes_little(granules)) << granules;
      const auto bytes = granules * kGranuleBytes;
      EXPECT_LT(waste,
                static_cast<double>(bytes % c.block_bytes) / static_cast<double>(bytes) + 0.001)
          << granules << " granules";
    }
  }
}

TEST(SizeClasses, EveryBlockHasItsIndex) {
  for (const SizeClass& c : kSizeClasses) {
    for (size_t i = 0; i < c.blocks_per_slab; ++i) {
      const size_t start = i * c.block_bytes;
      ASSERT_EQ(block_index(c, start), i) << c.block_bytes;
      ASSERT_EQ(block_index(c, start + 1), i) << c.block_bytes;
      ASSERT_EQ(block_index(c, start + c.block_bytes - 1), i) << c.block_bytes;
    }
    if (c.tail_waste_bytes == 0) continue;
    const size_t end = size_t{c.blocks_per_slab} * c.block_bytes;
    ASSERT_EQ(block_index(c, end), c.blocks_per_slab) << "the tail is no block";
    ASSERT_EQ(block_index(c, end + c.tail_waste_bytes - 1), c.blocks_per_slab);
  }
}

TEST(SizeClasses, CodesFitTheirByte) {
  for (size_t i = 0; i < kClasses; ++i) {
    const ZoneKind kind = zone_kind_of(class_at(i));
    const BlockCode code = code_of(class_at(i));
    ASSERT_NE(code, kNoBlock);
    ASSERT_NE(code, kBuddyBlock);
    ASSERT_TRUE(is_class_code(kind, code));
    ASSERT_EQ(class_of_code(kind, code), class_at(i));
    if (has_places(shape_of(kind))) {
      ASSERT_LT(code, 1U << kPlaceShift);
    }
  }
  for (const ZoneKind kind : {ZoneKind::kTiny, ZoneKind::kSmall, ZoneKind::kMedium}) {
    size_t codes = 0;
    for (size_t code = 0; code <= UINT8_MAX; ++code) codes += is_class_code(kind, code);
    ASSERT_EQ(codes, kZoneClasses[index_of(kind)].count);
    ASSERT_FALSE(is_class_code(kind, kNoBlock));
    ASSERT_FALSE(is_class_code(kind, kBuddyBlock));
  }
}

TEST(SizeClasses, RecordsHoldTheBitmaps) {
  for (size_t i = 0; i < kClasses; ++i) {
    const SizeClass& c = kSizeClasses[i];
    const size_t bits_bytes = divide_up(c.blocks_per_slab, 64) * sizeof(uint64_t);
    const size_t room_bytes =
        kSlabRecordBytes[index_of(zone_kind_of(class_at(i)))] - kSlabHeaderBytes;
    EXPECT_EQ(outer_bits_bytes(class_at(i)), bits_bytes <= room_bytes ? 0 : bits_bytes)
        << c.block_bytes;
    if (i > 0) {
      EXPECT_EQ(outer_bits_bytes(class_at(i)), 0U) << "all classes but the smallest";
    }
  }
  for (const size_t bytes : kSlabRecordBytes) EXPECT_EQ(bytes % alignof(Slab), 0U);
}

}  // namespace
}  // namespace elasticpool
