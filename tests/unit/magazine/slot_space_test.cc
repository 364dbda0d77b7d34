// magazine/slot_space.h against a model: arrays do not overlap, and the room of a thread's record
// suffices whatever its classes do.
#include "magazine/slot_space.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "magazine/thread_cache.h"

namespace elasticpool {
namespace {

constexpr uint32_t kFirst = 100;

TEST(SlotSpace, NoMoreThanThereIs) {
  std::vector<uintptr_t> record(kFirst + 40);
  SlotSpace space;
  EXPECT_EQ(space.take(record.data(), 8, kFirst, kFirst + 20), kFirst);
  EXPECT_EQ(space.take(record.data(), 16, kFirst, kFirst + 20), 0U);
  EXPECT_EQ(space.take(record.data(), 8, kFirst, kFirst + 20), kFirst + 8);
  EXPECT_EQ(space.take(record.data(), 8, kFirst, kFirst + 20), 0U);
  space.give(record.data(), kFirst, 8);
  EXPECT_EQ(space.take(record.data(), 8, kFirst, kFirst + 20), kFirst);
}

// Each class moves between the sizes that it may have, as resize() does: the new array first.
TEST(SlotSpace, TheRecordHasRoomForAllClasses) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  constexpr auto kHeader = static_cast<uint32_t>(sizeof(ThreadCache) / sizeof(uintptr_t));
  constexpr auto kEnd = static_cast<uint32_t>(kCacheBytes / sizeof(uintptr_t));
  std::vector<uintptr_t> record(kEnd);
  SlotSpace space;
  struct Array {
    uint32_t base = 0;
    uint32_t slots = 0;
  };
  Array arrays[kClasses];
  std::map<uint32_t, uint32_t> taken;  // base to end
  for (int step = 0; step < 200'000; ++step) {
    const size_t i = random() % kClasses;
    Array& array = arrays[i];
    // Now all large, now all small, so that one size after the other is at its most.
    const bool grow = (step / 2000 % 2 == 0) == (random() % 8 != 0);
    uint32_t slots = grow ? (array.slots == 0 ? kSlotsMin : array.slots * 2) : array.slots / 2;
    if (slots > slots_max(kSizeClasses[i].block_bytes)) continue;
    if (slots < kSlotsMin) slots = 0;
    uint32_t base = 0;
    if (slots != 0) {
      base = space.take(record.data(), slots, kHeader, kEnd);
      ASSERT_NE(base, 0U) << "class " << i << ", " << slots;
      ASSERT_GE(base, kHeader);
      ASSERT_LE(base + slots, kEnd);
      const auto above = taken.lower_bound(base);
      ASSERT_TRUE(above == taken.end() || base + slots <= above->first);
      ASSERT_TRUE(above == taken.begin() || base >= std::prev(above)->second);
      taken[base] = base + slots;
      for (uint32_t k = 0; k < slots; ++k) record[base + k] = i;
    }
    if (array.slots != 0) {
      for (uint32_t k = 0; k < array.slots; ++k) ASSERT_EQ(record[array.base + k], i);
      taken.erase(array.base);
      space.give(record.data(), array.base, array.slots);
    }
    array = {base, slots};
  }
}

}  // namespace
}  // namespace elasticpool
