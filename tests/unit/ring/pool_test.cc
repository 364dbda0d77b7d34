// The pool against a naive model, its use of space, and what it does when it is exhausted.
#include "ring/pool.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "ring/member.h"

namespace elasticpool {
namespace {

class RingPool : public testing::Test {
 protected:
  void open(uint64_t pool_bytes, uint64_t pool_bytes_max = 0) {
    ep_ring_options options;
    ep_ring_options_init(&options);
    options.pool_bytes = pool_bytes;
    options.pool_bytes_max = pool_bytes_max;
    options.slots = 64;
    ASSERT_EQ(Region::create(nullptr, options, &region_), EP_RING_OK);
    ASSERT_EQ(join(*region_, kConsumersMax, kMembersMax, MemberName{}, &member_), EP_RING_OK);
  }
  void TearDown() override {
    if (region_ != nullptr) Region::close(region_);
  }
  Region* region_ = nullptr;
  Member member_;
};

TEST_F(RingPool, BlocksNeverOverlap) {
  open(uint64_t{8} << 20);
  Pool pool(*region_, member_.tag, kNobody, 0);
  std::mt19937 random(11);
  std::map<uint64_t, std::pair<uint64_t, uint32_t>> live;  // offset -> capacity, block
  for (int i = 0; i < 30'000; ++i) {
    if (random() % 2 == 0 || live.empty()) {
      const uint64_t bytes = uint64_t{1} << (random() % 18);
      uint32_t block = 0;
      BlockPlace place;
      const ep_ring_error error =
          pool.reserve(bytes + random() % bytes, Pool::Search::kEverywhere, &block, &place);
      if (error == EP_RING_NO_MEMORY) continue;
      ASSERT_EQ(error, EP_RING_OK);
      ASSERT_LE(place.offset + place.capacity_bytes, uint64_t{8} << 20);
      ASSERT_EQ(place.offset % kLineBytes, 0U);
      const auto after = live.lower_bound(place.offset);
      if (after != live.end()) {
        ASSERT_LE(place.offset + place.capacity_bytes, after->first);
      }
      if (after != live.begin()) {
        const auto before = std::prev(after);
        ASSERT_LE(before->first + before->second.first, place.offset);
      }
      live[place.offset] = {place.capacity_bytes, block};
    } else {
      auto victim = live.begin();
      std::advance(victim, random() % live.size());
      BlockPlace place;
      ASSERT_TRUE(pool.find(victim->second.second, &place));
      ASSERT_TRUE(pool.is_ours(place, BlockState::kReserved));
      pool.give_back(victim->second.second, place, place.entry->word.load_relaxed(),
                     random() % 2 == 0);
      live.erase(victim);
    }
  }
}

// Nine tenths of the pool and more are in use when it refuses, for a mixture of sizes.
TEST_F(RingPool, UsesItsSpace) {
  for (const unsigned seed : {1U, 2U, 3U}) {
    open(uint64_t{64} << 20);
    Pool pool(*region_, member_.tag, kNobody, 0);
    std::mt19937 random(seed);
    uint64_t asked = 0;
    unsigned refusals = 0;
    while (refusals < 200) {
      const uint64_t bytes = uint64_t{64} << (random() % 14);
      const uint64_t size = bytes + random() % bytes;
      uint32_t block = 0;
      BlockPlace place;
      if (pool.reserve(size, Pool::Search::kEverywhere, &block, &place) == EP_RING_OK) {
        asked += size;
      } else {
        ++refusals;
      }
    }
    EXPECT_GE(asked, (uint64_t{64} << 20) / 10 * 9) << "seed " << seed;
    Region::close(region_);
    region_ = nullptr;
  }
}

TEST_F(RingPool, EmptySlabsMakeRoomForRuns) {
  open(uint64_t{1} << 20);
  Pool pool(*region_, member_.tag, kNobody, 0);
  for (const uint64_t bytes : {64U, 500U, 4096U, 8000U}) {
    std::vector<uint32_t> blocks;
    uint32_t block = 0;
    BlockPlace place;
    while (pool.reserve(bytes, Pool::Search::kEverywhere, &block, &place) == EP_RING_OK)
      blocks.push_back(block);
    for (const uint32_t b : blocks) {
      ASSERT_TRUE(pool.find(b, &place));
      pool.give_back(b, place, place.entry->word.load_relaxed(), true);
    }
    ASSERT_EQ(pool.reserve(uint64_t{1} << 20, Pool::Search::kEverywhere, &block, &place),
              EP_RING_OK)
        << bytes;
    pool.give_back(block, place, place.entry->word.load_relaxed(), false);
  }
}

TEST_F(RingPool, GrowsInStepsUpToItsLimit) {
  open(uint64_t{1} << 20, uint64_t{4} << 20);
  Pool pool(*region_, member_.tag, kNobody, 0);
  uint32_t block = 0;
  BlockPlace place;
  ASSERT_EQ(pool.reserve(uint64_t{1} << 20, Pool::Search::kEverywhere, &block, &place), EP_RING_OK);
  EXPECT_EQ(region_->header().granules.load_relaxed(), 256U);
  ASSERT_EQ(pool.reserve(uint64_t{2} << 20, Pool::Search::kEverywhere, &block, &place), EP_RING_OK);
  EXPECT_GE(region_->header().granules.load_relaxed(), 768U);
  ASSERT_EQ(pool.reserve(uint64_t{2} << 20, Pool::Search::kEverywhere, &block, &place),
            EP_RING_NO_MEMORY);
  EXPECT_EQ(region_->header().granules.load_relaxed(), 1024U);
  ASSERT_EQ(pool.reserve(uint64_t{1} << 20, Pool::Search::kEverywhere, &block, &place), EP_RING_OK);
}

TEST_F(RingPool, SlabsOfItsOwnServeNobodyElse) {
  open(uint64_t{1} << 20);
  Pool mine(*region_, member_.tag, member_.tag, uint64_t{64} << 10);
  Member second;
  ASSERT_EQ(join(*region_, kConsumersMax, kMembersMax, MemberName{}, &second), EP_RING_OK);
  Pool other(*region_, second.tag, kNobody, 0);
  uint32_t block = 0;
  BlockPlace own;
  ASSERT_EQ(mine.reserve(64, Pool::Search::kEverywhere, &block, &own), EP_RING_OK);
  ASSERT_TRUE(mine.find(block, &own));
  SlabPlace slab;
  ASSERT_TRUE(mine.slabs().find_slab(own.first_granule, &slab));
  EXPECT_EQ(slab.owner, member_.tag);
  for (int i = 0; i < 1000; ++i) {
    BlockPlace place;
    ASSERT_EQ(other.reserve(64, Pool::Search::kEverywhere, &block, &place), EP_RING_OK);
    ASSERT_TRUE(other.find(block, &place));
    ASSERT_NE(place.first_granule, own.first_granule);
  }
}

TEST_F(RingPool, SlabsOfItsOwnThatWereTakenApartAreMadeAgain) {
  open(uint64_t{1} << 20);
  Pool mine(*region_, member_.tag, member_.tag, uint64_t{64} << 10);
  for (int round = 0; round < 3; ++round) {
    std::vector<uint32_t> blocks;
    uint32_t block = 0;
    BlockPlace place;
    ASSERT_EQ(mine.reserve(64, Pool::Search::kEverywhere, &block, &place), EP_RING_OK);
    ASSERT_TRUE(mine.find(block, &place));
    EXPECT_EQ(place.slab_owner, member_.tag) << round;
    mine.give_back(block, place, place.entry->word.load_relaxed(), false);
    ASSERT_EQ(mine.reserve(uint64_t{1} << 20, Pool::Search::kEverywhere, &block, &place),
              EP_RING_OK);
    ASSERT_TRUE(mine.find(block, &place));
    mine.give_back(block, place, place.entry->word.load_relaxed(), false);
    EXPECT_EQ(mine.slabs().own_granules(), 0U);
  }
}

}  // namespace
}  // namespace elasticpool
