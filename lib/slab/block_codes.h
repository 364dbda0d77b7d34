// Which code stands for a class in the block map of its zone.
//
// Pure: numbers in, numbers out.
//
// Codes  count the classes of a zone from 1: kNoBlock is none of them. In the small zone they stay
//        below the place (pagemap/block_cell.h), in the medium zone below kBuddyBlock.
#pragma once

#include "base/units.h"
#include "pagemap/block_cell.h"
#include "slab/size_classes.h"

namespace elasticpool {

// The classes of a zone of blocks: [first, first + count).
struct ZoneClasses {
  size_t first;
  size_t count;
};
inline constexpr ZoneClasses kZoneClasses[kBlockZones] = {
    {0, kFirstSmallClass},
    {kFirstSmallClass, kFirstMediumClass - kFirstSmallClass},
    {kFirstMediumClass, kClasses - kFirstMediumClass}};
static_assert(kZoneClasses[1].count < size_t{1} << kPlaceShift);
static_assert(kZoneClasses[2].count < kBuddyBlock);

constexpr ZoneKind zone_kind_of(ClassId id) {
  if (index_of(id) < kFirstSmallClass) return ZoneKind::kTiny;
  return index_of(id) < kFirstMediumClass ? ZoneKind::kSmall : ZoneKind::kMedium;
}

constexpr BlockCode code_of(ClassId id) {
  return static_cast<BlockCode>(index_of(id) - kZoneClasses[index_of(zone_kind_of(id))].first + 1);
}

// Whether what match() said is the code of a class; then, of which.
constexpr bool is_class_code(ZoneKind kind, size_t code) {
  return code - 1 < kZoneClasses[index_of(kind)].count;
}
constexpr ClassId class_of_code(ZoneKind kind, size_t code) {
  return ClassId{static_cast<uint8_t>(kZoneClasses[index_of(kind)].first + code - 1)};
}

constexpr ZoneShape shape_of(ZoneKind kind) {
  constexpr ZoneShape kShapes[kBlockZones] = {kTinyShape, kSmallShape, kMediumShape};
  return kShapes[index_of(kind)];
}

}  // namespace elasticpool
