// percpu/: which of the partial slabs blocks are drawn from, and how many of them a batch takes.
#include <gtest/gtest.h>

#include <vector>

#include "percpu/cpu_cache.h"
#include "percpu_zones.h"

namespace elasticpool {
namespace {

const ClassId kId = class_of_size(256);
const size_t kPerSlab = size_class(kId).blocks_per_slab;

// Slabs of which all blocks are out, and which no CPU has as its current one.
class PartialSlabs : public testing::Test {
 protected:
  void SetUp() override { test::plan_test_zones(); }
  void TearDown() override {
    for (std::vector<void*>& blocks : slabs_) put_blocks(kId, blocks.data(), blocks.size());
    release_slabs();
    EXPECT_EQ(test::slab_stats_of(kId).slabs, 0U);
  }

  void make_full(size_t slabs) {
    for (size_t i = 0; i < slabs; ++i) {
      std::vector<void*> blocks(kPerSlab);
      ASSERT_EQ(take_blocks(kId, blocks.data(), kPerSlab), kPerSlab);
      slabs_.push_back(blocks);
    }
    created_ = created();
  }

  void bring_home(size_t slab, size_t count) {
    std::vector<void*>& blocks = slabs_[slab];
    put_blocks(kId, &blocks[blocks.size() - count], count);
    blocks.resize(blocks.size() - count);
  }

  // Of which slab each block is that one batch of `wanted` gives.
  std::vector<size_t> take(size_t wanted) {
    std::vector<void*> batch(wanted);
    batch.resize(take_blocks(kId, batch.data(), wanted));
    std::vector<size_t> from;
    for (void* block : batch) {
      const Slab* slab = slab_of(zone_of(kId), block);
      size_t i = 0;
      while (i < slabs_.size() && slab_of(zone_of(kId), slabs_[i][0]) != slab) ++i;
      from.push_back(i);
      if (i < slabs_.size()) slabs_[i].push_back(block);
    }
    return from;
  }

  static uint64_t created() { return test::slab_stats_of(kId).created; }

  std::vector<std::vector<void*>> slabs_;
  uint64_t created_ = 0;
};

// A quarter of the slab's blocks is the width of a bucket; in it, the last that changed is first.
TEST_F(PartialSlabs, TheFullestIsDrawnFrom) {
  make_full(3);
  bring_home(0, 1);
  bring_home(1, 1);
  bring_home(2, 1);
  bring_home(2, kPerSlab / 4);      // no longer among the fullest
  bring_home(1, kPerSlab * 3 / 4);  // among the emptiest
  EXPECT_EQ(take(1), std::vector<size_t>({0}));
  EXPECT_EQ(take(1), std::vector<size_t>({2}));
}

TEST_F(PartialSlabs, ABatchIsFilledFromSeveral) {
  make_full(3);
  for (size_t i = 0; i < 3; ++i) bring_home(i, 4);
  EXPECT_EQ(take(10), std::vector<size_t>({2, 2, 2, 2, 1, 1, 1, 1, 0, 0}));
  EXPECT_EQ(created(), created_);
}

TEST_F(PartialSlabs, ANewOneIsForTheFirstBlockOnly) {
  make_full(1);
  bring_home(0, 4);
  EXPECT_EQ(take(10).size(), 4U);
  EXPECT_EQ(created(), created_);
  std::vector<void*> from_new(1);
  ASSERT_EQ(take_blocks(kId, from_new.data(), 1), 1U);
  slabs_.push_back(from_new);
  EXPECT_EQ(created(), created_ + 1);
}

// One whose pages went back is for the first block only, too, until blocks come home to it.
class PurgedSlabs : public PartialSlabs, public testing::WithParamInterface<bool> {
 protected:
  static size_t purge() {
    if (GetParam()) return release_slabs();
    release_settled_slabs();
    return release_settled_slabs();
  }
};

TEST_P(PurgedSlabs, TheyFillNoBatch) {
  make_full(3);
  bring_home(0, kPerSlab / 2);
  bring_home(1, kPerSlab / 2);
  EXPECT_GT(purge(), 0U);
  bring_home(2, 1);
  EXPECT_EQ(take(2), std::vector<size_t>({2}));
  bring_home(0, 1);
  bring_home(2, 1);
  EXPECT_EQ(take(2), std::vector<size_t>({2, 0}));
}

INSTANTIATE_TEST_SUITE_P(AtOnceAndSettled, PurgedSlabs, testing::Bool());

}  // namespace
}  // namespace elasticpool
