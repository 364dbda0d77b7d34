// The tuner's numbers, for every class, every count of slots and the budgets around each bound.
#include "magazine/tuner.h"

#include <gtest/gtest.h>

#include "slab/size_classes.h"

namespace elasticpool {
namespace {

constexpr size_t kRoomless = 0;
constexpr size_t kRoomy = SIZE_MAX / 2;

template <typename Check>
void for_each_magazine(Check check) {
  for (const SizeClass& c : kSizeClasses) {
    for (uint32_t slots = kSlotsMin; slots <= slots_max(c.block_bytes); slots *= 2) {
      check(size_t{c.block_bytes}, slots);
    }
  }
}

TEST(Tuner, SlotsAreAPowerOfTwoWithinBounds) {
  for (const SizeClass& c : kSizeClasses) {
    const uint32_t most = slots_max(c.block_bytes);
    EXPECT_TRUE(is_power_of_two(most)) << c.block_bytes;
    EXPECT_GE(most, kSlotsMin) << c.block_bytes;
    EXPECT_LE(most, kSlotsMax) << c.block_bytes;
  }
}

TEST(Tuner, CapacityFitsTheArrayAndTheBytes) {
  EXPECT_EQ(capacity_of(0, 16), 0U);
  for_each_magazine([](size_t block_bytes, uint32_t slots) {
    const uint32_t capacity = capacity_of(slots, block_bytes);
    EXPECT_GE(capacity, kBlocksMin);
    EXPECT_LT(capacity, slots) << "one slot is the sentinel's";
    const size_t bytes = capacity * block_bytes;
    EXPECT_TRUE(bytes <= kMagazineBytesMax || capacity == kBlocksMin) << block_bytes;
  });
}

TEST(Tuner, CapacityGrowsWithTheSlots) {
  for_each_magazine([](size_t block_bytes, uint32_t slots) {
    if (slots == kSlotsMin) return;
    EXPECT_GE(capacity_of(slots, block_bytes), capacity_of(slots / 2, block_bytes));
  });
}

TEST(Tuner, LargerBlocksNeverGetMore) {
  for (size_t i = 1; i < kClasses; ++i) {
    const size_t smaller = kSizeClasses[i - 1].block_bytes;
    const size_t larger = kSizeClasses[i].block_bytes;
    EXPECT_LE(slots_max(larger), slots_max(smaller)) << larger;
    EXPECT_LE(capacity_of(slots_max(larger), larger), capacity_of(slots_max(smaller), smaller));
  }
}

TEST(Tuner, ColdClassesStayAsTheyAre) {
  for_each_magazine([](size_t block_bytes, uint32_t slots) {
    EXPECT_EQ(grown_slots(slots, false, block_bytes, kRoomy), slots);
  });
}

TEST(Tuner, HotClassesDoubleUpToTheirMost) {
  for_each_magazine([](size_t block_bytes, uint32_t slots) {
    const uint32_t most = slots_max(block_bytes);
    EXPECT_EQ(grown_slots(slots, true, block_bytes, kRoomy), slots < most ? slots * 2 : slots);
  });
}

TEST(Tuner, GrowthStaysWithinTheRoom) {
  for_each_magazine([](size_t block_bytes, uint32_t slots) {
    if (slots == slots_max(block_bytes)) return;
    const size_t added =
        (capacity_of(slots * 2, block_bytes) - capacity_of(slots, block_bytes)) * block_bytes;
    EXPECT_EQ(grown_slots(slots, true, block_bytes, added), slots * 2);
    if (added == 0) return;
    EXPECT_EQ(grown_slots(slots, true, block_bytes, added - 1), slots);
    EXPECT_EQ(grown_slots(slots, true, block_bytes, kRoomless), slots);
  });
}

TEST(Tuner, TheFirstArrayNeedsRoomToo) {
  for (const SizeClass& c : kSizeClasses) {
    const size_t first_bytes = capacity_of(kSlotsMin, c.block_bytes) * size_t{c.block_bytes};
    ASSERT_EQ(grown_slots(0, false, c.block_bytes, first_bytes), kSlotsMin);
    ASSERT_EQ(grown_slots(0, false, c.block_bytes, first_bytes - 1), 0U) << c.block_bytes;
  }
}

TEST(Tuner, ABatchLeavesRoomForTheOtherHalf) {
  for (uint32_t capacity = 0; capacity < kSlotsMax; ++capacity) {
    const uint32_t batch = refill_batch(capacity);
    EXPECT_GE(batch, 1U);
    EXPECT_LE(batch, kBatchMax);
    // One block of a refill goes to the program, the rest must fit.
    EXPECT_LE(batch - 1, capacity);
    EXPECT_TRUE(capacity < 2 || batch <= (capacity + 1) / 2) << capacity;
  }
}

}  // namespace
}  // namespace elasticpool
