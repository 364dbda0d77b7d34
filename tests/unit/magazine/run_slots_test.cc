// magazine/run_slots.h: one run of each length at hand, within a bound.
#include "magazine/run_slots.h"

#include <gtest/gtest.h>

namespace elasticpool {
namespace {

TEST(RunSlots, GiveWhatWasPutByLength) {
  RunSlots runs;
  EXPECT_EQ(runs.take(1), 0U);
  EXPECT_FALSE(runs.holds(3));
  runs.put(3, 300);
  runs.put(4, 400);
  EXPECT_TRUE(runs.holds(3));
  EXPECT_EQ(runs.held(), 2U);
  EXPECT_EQ(runs.held_granules(), 7U);
  EXPECT_EQ(runs.take(4), 400U);
  EXPECT_EQ(runs.take(4), 0U);
  EXPECT_EQ(runs.take(3), 300U);
  EXPECT_EQ(runs.held_granules(), 0U);
  EXPECT_EQ(runs.served(), 2U);
}

TEST(RunSlots, HoldAtMostTheBound) {
  RunSlots runs;
  EXPECT_TRUE(runs.has_room(RunSlots::kLengths));
  runs.put(1, 100);
  EXPECT_FALSE(runs.has_room(RunSlots::kLengths));
  EXPECT_TRUE(runs.has_room(RunSlots::kLengths - 1));
  EXPECT_EQ(runs.take_any(), 100U);
  EXPECT_TRUE(runs.has_room(RunSlots::kLengths));
}

TEST(RunSlots, LetAllGoAndCountNoRequestForIt) {
  RunSlots runs;
  runs.put(1, 100);
  runs.put(2, 200);
  runs.put(13, 1300);
  uintptr_t sum = 0;
  while (const uintptr_t step = runs.take_any()) sum += step;
  EXPECT_EQ(sum, 1600U);
  EXPECT_EQ(runs.held(), 0U);
  EXPECT_EQ(runs.held_granules(), 0U);
  EXPECT_EQ(runs.served(), 0U);
}

}  // namespace
}  // namespace elasticpool
