// buddy/buddy.h and base/held_memory.h: growth is charged, a refusal at the limit changes nothing,
// and slabs have a reserve. (That all of it adds up, runs.h checks in every test of this layer.)
#include <gtest/gtest.h>

#include <random>

#include "base/held_memory.h"
#include "runs.h"

namespace elasticpool::test {
namespace {

constexpr unsigned kSeed = 1106;

class BuddyHeld : public testing::Test {
 protected:
  void SetUp() override {
    buddy_vm().fail_nothing();
    buddy_set_retain(64 * kMiB);
    buddy_release(0);
    base_bytes_ = held_bytes();
    set_next_look(0);
  }
  void TearDown() override {
    limit_held_memory(UINT64_MAX, 0);
    set_next_look(INT64_MAX);
    runs_.check();
    runs_.free_all();
    buddy_release(0);
    EXPECT_EQ(held_granules(), 0U);
    runs_.check();
  }

  size_t held_granules() const { return (held_bytes() - base_bytes_) / kGranuleBytes; }
  static int64_t grown_granules() {
    return -g_held_memory.until_look_bytes.load() / static_cast<int64_t>(kGranuleBytes);
  }
  void limit(size_t granules, size_t reserve_granules) const {
    limit_held_memory(base_bytes_ + granules * kGranuleBytes, reserve_granules * kGranuleBytes);
  }
  bool allocate_block(size_t granules) {
    return runs_.allocate_block(NodeId{0}, granules * kGranuleBytes, 1);
  }
  bool allocate_slab(size_t granules) { return runs_.allocate(g_small_zone, NodeId{0}, granules); }

  Runs runs_;

 private:
  uint64_t base_bytes_ = 0;
};

TEST_F(BuddyHeld, GranulesAreChargedWhenTheyAreTakenFirst) {
  ASSERT_TRUE(allocate_block(5));
  ASSERT_TRUE(allocate_slab(8));
  EXPECT_EQ(held_granules(), 13U) << "not the frame";
  EXPECT_EQ(grown_granules(), 13);
  runs_.free(0);
  EXPECT_EQ(held_granules(), 13U) << "free and kept";
  ASSERT_TRUE(allocate_block(7));
  EXPECT_EQ(held_granules(), 15U) << "five of them were there";
  EXPECT_EQ(grown_granules(), 15);
  runs_.free_all();
  buddy_release(0);
  EXPECT_EQ(held_granules(), 0U);
  EXPECT_EQ(grown_granules(), 15) << "what goes back does not turn the clock back";
}

TEST_F(BuddyHeld, ABlockThatGrowsIsCharged) {
  ASSERT_TRUE(allocate_block(2));
  EXPECT_TRUE(runs_.resize(0, 6 * kGranuleBytes));
  EXPECT_EQ(held_granules(), 6U);
  EXPECT_TRUE(runs_.resize(0, 3 * kGranuleBytes));
  EXPECT_EQ(held_granules(), 6U);
  EXPECT_TRUE(runs_.resize(0, 8 * kGranuleBytes));
  EXPECT_EQ(held_granules(), 8U);
  EXPECT_EQ(grown_granules(), 8);
}

// Pages of a part of a frame go back by themselves.
TEST_F(BuddyHeld, WhatGoesBackIsDischarged) {
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(allocate_block(4));
  for (size_t i = 6; i > 0; i -= 2) runs_.free(i);
  EXPECT_EQ(held_granules(), 32U);
  EXPECT_EQ(buddy_release(0), 12 * kGranuleBytes);
  EXPECT_EQ(held_granules(), 20U);
  // Where the system does not take them they are held on.
  runs_.free(0);
  buddy_vm().fail(VmCall::kDecommit, 1, FakeVm::kFromThereOn);
  buddy_vm().fail(VmCall::kUnmap, 1, FakeVm::kFromThereOn);
  EXPECT_EQ(buddy_release(0), 0U);
  EXPECT_EQ(held_granules(), 20U);
  buddy_vm().fail_nothing();
}

TEST_F(BuddyHeld, AtTheLimitAllStaysAsItWas) {
  ASSERT_TRUE(allocate_block(4));
  ASSERT_TRUE(allocate_slab(4));
  limit(10, 0);
  const BuddyStats before = buddy_stats(ZoneKind::kMedium);
  EXPECT_FALSE(allocate_block(3));
  EXPECT_FALSE(allocate_slab(3));
  EXPECT_FALSE(buddy_resize_block(runs_.all()[0].start, 7 * kGranuleBytes));
  EXPECT_EQ(held_granules(), 8U);
  EXPECT_EQ(grown_granules(), 8);
  const BuddyStats after = buddy_stats(ZoneKind::kMedium);
  EXPECT_EQ(after.frames, before.frames);
  EXPECT_EQ(after.used_granules, before.used_granules);
  EXPECT_EQ(after.live_blocks, before.live_blocks);
  EXPECT_EQ(after.live_bytes, before.live_bytes);
  EXPECT_EQ(after.requests, before.requests);
  runs_.check();
  // Up to the limit it goes.
  EXPECT_TRUE(runs_.resize(0, 6 * kGranuleBytes));
  EXPECT_EQ(held_granules(), 10U);
  EXPECT_FALSE(allocate_slab(1));
  // What is there already is no growth.
  EXPECT_TRUE(runs_.resize(0, kGranuleBytes));
  EXPECT_TRUE(runs_.resize(0, 6 * kGranuleBytes));
  EXPECT_EQ(held_granules(), 10U);
}

// A frame may have been added for what was refused then: it is there for the next one, not lost.
TEST_F(BuddyHeld, AFrameOfWhichNothingMayBeTakenIsKept) {
  limit(0, 0);
  const BuddyStats before = buddy_stats(ZoneKind::kMedium);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(allocate_block(1));
  EXPECT_LE(buddy_stats(ZoneKind::kMedium).frames, before.frames + 1);
  EXPECT_EQ(held_granules(), 0U);
  runs_.check();
}

TEST_F(BuddyHeld, SlabsHaveAReserve) {
  limit(4, 3);
  EXPECT_TRUE(allocate_block(4));
  EXPECT_FALSE(allocate_block(1));
  EXPECT_TRUE(allocate_slab(1));
  EXPECT_TRUE(allocate_slab(2));
  EXPECT_FALSE(allocate_slab(1));
  EXPECT_EQ(held_granules(), 7U);
  runs_.free(0);
  EXPECT_TRUE(allocate_block(4)) << "its pages are there";
}

TEST_F(BuddyHeld, NothingIsHeldBeyondTheLimitWhateverIsAsked) {
  std::mt19937 random(kSeed);
  size_t refused = 0;
  buddy_set_retain(kMiB);
  limit(200, 20);
  for (int i = 0; i < 3000; ++i) {
    const auto action = random() % 8;
    const size_t granules = 1 + random() % 16;
    if (action < 2) {
      refused += !allocate_slab(granules);
    } else if (action < 5) {
      refused += !allocate_block(granules);
    } else if (!runs_.empty()) {
      runs_.free(random() % runs_.all().size());
    }
    ASSERT_LE(held_granules(), 220U) << "step " << i << ", seed " << kSeed;
    if (i % 100 == 0) runs_.check();
  }
  EXPECT_GT(refused, 0U);
}

}  // namespace
}  // namespace elasticpool::test
