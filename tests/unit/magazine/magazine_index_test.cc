// magazine/magazine_index.h: a class has a magazine of its own, and what match() may say of a cell
// that is no live block never leads to it.
#include "magazine/magazine_index.h"

#include <gtest/gtest.h>

#include <set>

namespace elasticpool {
namespace {

ClassId class_at(size_t index) { return ClassId{static_cast<uint8_t>(index)}; }

TEST(MagazineIndex, EveryClassHasItsOwn) {
  std::set<size_t> magazines;
  for (size_t i = 0; i < kClasses; ++i) {
    const size_t magazine = magazine_of(class_at(i));
    ASSERT_LT(magazine, kMagazines);
    ASSERT_TRUE(magazines.insert(magazine).second) << "class " << i;
    ASSERT_EQ(magazine, first_magazine_of(zone_kind_of(class_at(i))) + code_of(class_at(i)));
  }
}

TEST(MagazineIndex, WhatIsNoCodeLeadsToNoClass) {
  std::set<size_t> magazines;
  for (size_t i = 0; i < kClasses; ++i) magazines.insert(magazine_of(class_at(i)));
  // All that a cell of the zone may hold, as long as nobody else writes to the map.
  const size_t cells_end[kBlockZones] = {kZoneClasses[0].count + 1, size_t{UINT8_MAX} + 1,
                                         size_t{kHeldBuddyBlock} + 1};
  for (const ZoneKind kind : {ZoneKind::kTiny, ZoneKind::kSmall, ZoneKind::kMedium}) {
    for (size_t said = 0; said < cells_end[index_of(kind)]; ++said) {
      const size_t magazine = first_magazine_of(kind) + said;
      ASSERT_LT(magazine, kMagazines);
      ASSERT_EQ(magazines.count(magazine) == 1, is_class_code(kind, said)) << said;
    }
  }
}

TEST(MagazineIndex, TableOfBytes) {
  for (size_t bytes = 0; bytes <= kSmallBytesMax; ++bytes) {
    ASSERT_EQ(kMagazineByBytes[bytes], magazine_of(class_of_size(bytes))) << bytes;
  }
}

}  // namespace
}  // namespace elasticpool
