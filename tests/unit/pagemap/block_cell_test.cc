// pagemap/block_cell.h: every cell, every step of a unit, every code.
#include "pagemap/block_cell.h"

#include <gtest/gtest.h>

namespace elasticpool {
namespace {

template <ZoneShape kShape>
constexpr size_t steps_in_unit() {
  return size_t{1} << (kShape.unit_shift - kShape.step_shift);
}

// Codes that a cell of the shape can hold apart from all else.
template <ZoneShape kShape>
constexpr size_t codes_end() {
  return has_places(kShape) ? size_t{1} << kPlaceShift : size_t{UINT8_MAX} + 1;
}

// A live block matches at its own step with its code; at the other steps of its unit, and when it
// is dead, what match() says is no code.
template <ZoneShape kShape>
void expect_exact_cells() {
  constexpr uintptr_t kUnit = 12345 * steps_in_unit<kShape>();
  for (size_t code = 1; code < codes_end<kShape>(); ++code) {
    for (size_t at = 0; at < steps_in_unit<kShape>(); ++at) {
      uint8_t cell = stamp_for<kShape>(static_cast<BlockCode>(code), kUnit + at);
      for (size_t asked = 0; asked < steps_in_unit<kShape>(); ++asked) {
        const size_t said = match<kShape>(cell, kUnit + asked);
        ASSERT_TRUE(said == kNoBlock || said >= codes_end<kShape>()) << "never live";
      }
      mark_live<kShape>(cell, static_cast<BlockCode>(code));
      for (size_t asked = 0; asked < steps_in_unit<kShape>(); ++asked) {
        const size_t said = match<kShape>(cell, kUnit + asked);
        if (asked == at) {
          ASSERT_EQ(said, code);
        } else {
          ASSERT_TRUE(said >= codes_end<kShape>()) << code << " at " << at << ", asked " << asked;
        }
        ASSERT_LE(said, UINT8_MAX);
      }
      mark_dead<kShape>(cell);
      for (size_t asked = 0; asked < steps_in_unit<kShape>(); ++asked) {
        const size_t said = match<kShape>(cell, kUnit + asked);
        ASSERT_TRUE(said == kNoBlock || said >= codes_end<kShape>()) << "dead";
      }
    }
  }
}

TEST(BlockCell, OnlyALiveBlockMatchesAndOnlyAtItsStep) {
  expect_exact_cells<kTinyShape>();
  expect_exact_cells<kSmallShape>();
  expect_exact_cells<kMediumShape>();
}

// A map that was never written: no code at any step.
TEST(BlockCell, ZeroIsNoBlock) {
  for (uintptr_t step = 0; step < 4; ++step) {
    const size_t small = match<kSmallShape>(0, step);
    EXPECT_TRUE(small == kNoBlock || small >= size_t{1} << kPlaceShift);
    EXPECT_EQ(match<kTinyShape>(0, step), kNoBlock);
    EXPECT_EQ(match<kMediumShape>(0, step), kNoBlock);
  }
}

TEST(BlockCell, OddAddressesAreHugeSteps) {
  for (uintptr_t offset = 1; offset < 16; ++offset) {
    EXPECT_GT(step_of_address<kTinyShape>(uintptr_t{1} << 45 | offset), uintptr_t{1} << 59);
  }
  EXPECT_EQ(step_of_address<kTinyShape>(uintptr_t{1} << 45), uintptr_t{1} << 41);
  EXPECT_GT(step_of_address<kMediumShape>(uintptr_t{1} << 45 | 64), uintptr_t{1} << 57);
}

}  // namespace
}  // namespace elasticpool
