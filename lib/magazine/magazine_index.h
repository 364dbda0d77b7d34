// Which magazine of a thread a class has.
//
// Pure: numbers in, numbers out.
//
// Numbers    each zone of blocks has a row of magazines, numbered by what match() says of a cell
//            (pagemap/block_cell.h): so a free goes from the cell to the magazine by an addition
//            that the compiler folds away. The row of the small zone is the last and the longest:
//            only the first numbers of it are codes.
// Invariant  a magazine that belongs to no class, the first of each row among them, is always
//            empty and always full: what goes wrong ends in the slow path without a branch of its
//            own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "slab/block_codes.h"
#include "slab/size_classes.h"

namespace elasticpool {

// A row has a magazine for all that match() can say of the cells of its zone.
inline constexpr size_t kTinyMagazines = 8;
inline constexpr size_t kMediumMagazines = kHeldBuddyBlock + 1;
inline constexpr size_t kSmallMagazines = UINT8_MAX + 1;
inline constexpr size_t kMagazines = kTinyMagazines + kMediumMagazines + kSmallMagazines;
static_assert(kZoneClasses[0].count < kTinyMagazines);

constexpr size_t first_magazine_of(ZoneKind kind) {
  if (kind == ZoneKind::kTiny) return 0;
  return kind == ZoneKind::kMedium ? kTinyMagazines : kTinyMagazines + kMediumMagazines;
}

constexpr size_t magazine_of(ClassId id) {
  return first_magazine_of(zone_kind_of(id)) + code_of(id);
}

// By the bytes of a request up to kSmallBytesMax.
constexpr std::array<uint8_t, kSmallBytesMax + 1> make_magazine_by_bytes() {
  std::array<uint8_t, kSmallBytesMax + 1> table{};
  for (size_t bytes = 0; bytes <= kSmallBytesMax; ++bytes) {
    table[bytes] = static_cast<uint8_t>(magazine_of(class_of_size(bytes)));
  }
  return table;
}

inline constexpr auto kMagazineByBytes = make_magazine_by_bytes();

// By the steps of the medium zone that a request needs.
constexpr std::array<uint8_t, kMediumSteps> make_magazine_by_step() {
  std::array<uint8_t, kMediumSteps> table{};
  for (size_t step = 0; step < kMediumSteps; ++step) {
    table[step] = static_cast<uint8_t>(magazine_of(ClassId{kClassByStep[step]}));
  }
  return table;
}

inline constexpr auto kMagazineByStep = make_magazine_by_step();

// kSmallBytesMax < bytes <= kSlabBytesMax.
constexpr size_t magazine_of_medium_size(size_t bytes) {
  return kMagazineByStep[divide_up(bytes, kMediumStepBytes)];
}
static_assert(magazine_of(ClassId{kFirstMediumClass - 1}) <= UINT8_MAX, "a table of bytes");

}  // namespace elasticpool
