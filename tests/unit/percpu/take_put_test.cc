// percpu/ against a model: a block is out once, lies where its class says, and comes home.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "percpu/cpu_cache.h"
#include "percpu_zones.h"
#include "slab/quarters.h"

namespace elasticpool {
namespace {

ClassId class_at(size_t index) { return ClassId{static_cast<uint8_t>(index)}; }

class TakePut : public testing::Test {
 protected:
  void SetUp() override { test::plan_test_zones(); }
  void TearDown() override {
    set_vm(kernel_vm());
    release_slabs();
    for (size_t i = 0; i < kClasses; ++i) {
      const SlabStats stats = test::slab_stats_of(class_at(i));
      EXPECT_EQ(stats.slabs, 0U) << "class " << i;
      EXPECT_EQ(stats.blocks_out, 0U) << "class " << i;
      EXPECT_EQ(stats.created, stats.destroyed) << "class " << i;
    }
    EXPECT_EQ(buddy_stats(ZoneKind::kTiny).used_granules, 0U);
    EXPECT_EQ(buddy_stats(ZoneKind::kSmall).used_granules, 0U);
    EXPECT_EQ(buddy_stats(ZoneKind::kMedium).used_granules, 0U);
  }
};

TEST_F(TakePut, EveryClassGivesDistinctBlocksThatLieInTheirSlabs) {
  for (size_t i = 0; i < kClasses; ++i) {
    const ClassId id = class_at(i);
    const size_t block_bytes = block_bytes_of(id);
    std::vector<void*> blocks(size_class(id).blocks_per_slab * 2 + 1);
    size_t taken = 0;
    while (taken < blocks.size()) {
      const size_t count = take_blocks(id, &blocks[taken], blocks.size() - taken);
      ASSERT_GT(count, 0U);
      EXPECT_TRUE(std::is_sorted(&blocks[taken], &blocks[taken] + count)) << "class " << i;
      taken += count;
    }
    EXPECT_EQ(test::slab_stats_of(id).blocks_out, taken);
    EXPECT_EQ(test::slab_stats_of(id).slabs, 3U) << "class " << i;
    std::vector<void*> sorted = blocks;
    std::sort(sorted.begin(), sorted.end());
    for (size_t b = 0; b < sorted.size(); ++b) {
      const Slab* slab = slab_of(zone_of(id), sorted[b]);
      ASSERT_EQ(slab->class_id, id);
      ASSERT_TRUE(starts_block(slab, sorted[b]));
      if (b == 0) continue;
      ASSERT_GE(address_of(sorted[b]) - address_of(sorted[b - 1]), block_bytes);
    }
    put_blocks(id, blocks.data(), blocks.size());
    EXPECT_EQ(test::slab_stats_of(id).blocks_out, 0U);
  }
}

TEST_F(TakePut, AgreesWithAModelOverRandomBatches) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  constexpr size_t kSome[] = {0, 7, 15, 31, 32, 50, kClasses - 1};
  std::vector<void*> out[std::size(kSome)];
  std::set<void*> all;
  for (int step = 0; step < 40000; ++step) {
    const size_t which = random() % std::size(kSome);
    const ClassId id = class_at(kSome[which]);
    std::vector<void*>& mine = out[which];
    void* batch[128];
    size_t count = 1 + random() % std::size(batch);
    if (random() % 2 == 0 && mine.size() < 3000) {
      count = take_blocks(id, batch, count);
      ASSERT_GT(count, 0U);
      for (size_t i = 0; i < count; ++i) {
        ASSERT_TRUE(all.insert(batch[i]).second) << "handed out twice: " << batch[i];
        mine.push_back(batch[i]);
      }
    } else {
      count = std::min(count, mine.size());
      for (size_t i = 0; i < count; ++i) {
        std::swap(mine[random() % mine.size()], mine.back());
        batch[i] = mine.back();
        mine.pop_back();
        all.erase(batch[i]);
      }
      put_blocks(id, batch, count);
    }
    if (step % 1000 == 0) {
      release_slabs();
      ASSERT_EQ(test::slab_stats_of(id).blocks_out, mine.size());
    }
  }
  for (size_t which = 0; which < std::size(kSome); ++which) {
    put_blocks(class_at(kSome[which]), out[which].data(), out[which].size());
  }
}

TEST_F(TakePut, AnEmptySlabIsDestroyedAtOnceUnlessItIsCurrent) {
  const ClassId id = class_of_size(64);
  const size_t per_slab = size_class(id).blocks_per_slab;
  std::vector<void*> blocks(per_slab);
  size_t taken = 0;
  while (taken < per_slab) taken += take_blocks(id, &blocks[taken], per_slab - taken);
  const uint64_t destroyed = test::slab_stats_of(id).destroyed;
  put_blocks(id, blocks.data(), blocks.size());
  EXPECT_EQ(test::slab_stats_of(id).destroyed, destroyed + 1);
  EXPECT_EQ(test::slab_stats_of(id).slabs, 0U);
}

TEST_F(TakePut, BlocksFreedByAnotherThreadComeHome) {
  const ClassId id = class_of_size(512);
  std::vector<void*> blocks(1000);
  size_t taken = 0;
  while (taken < blocks.size()) taken += take_blocks(id, &blocks[taken], blocks.size() - taken);
  std::thread([&] { put_blocks(id, blocks.data(), blocks.size()); }).join();
  EXPECT_EQ(test::slab_stats_of(id).blocks_out, 0U);
  EXPECT_LE(test::slab_stats_of(id).slabs, 1U);
}

// Settled: no block was taken or put between two calls. More slabs than are purged at once.
TEST_F(TakePut, OnlyPagesOfSlabsThatDidNotChangeGoBack) {
  const ClassId id = class_of_size(1024);
  const size_t per_slab = size_class(id).blocks_per_slab;
  constexpr size_t kSlabs = 100;
  std::vector<void*> blocks(kSlabs * per_slab);
  size_t taken = 0;
  while (taken < blocks.size()) taken += take_blocks(id, &blocks[taken], blocks.size() - taken);
  std::sort(blocks.begin(), blocks.end());
  std::vector<void*> kept;
  for (size_t i = 0; i < blocks.size(); ++i) {
    // Two blocks of each slab stay, so that one more can go.
    if (i % per_slab < 2) {
      kept.push_back(blocks[i]);
      memset(blocks[i], 0x5a, 1024);
    } else {
      put_blocks(id, &blocks[i], 1);
    }
  }
  const size_t slab_bytes = size_class(id).slab_bytes;
  EXPECT_EQ(release_settled_slabs(), 0U) << "all have changed";
  put_blocks(id, &kept.back(), 1);
  kept.pop_back();
  EXPECT_EQ(release_settled_slabs(), (kSlabs - 1) * (slab_bytes - page_bytes()));
  EXPECT_EQ(release_settled_slabs(), slab_bytes - page_bytes()) << "the one that had changed";
  EXPECT_EQ(release_settled_slabs(), 0U);
  for (const void* block : kept) {
    EXPECT_EQ(*static_cast<const uint8_t*>(block), 0x5a);
    EXPECT_EQ(memcmp(block, static_cast<const char*>(block) + 1, 1023), 0);
  }
  // What was purged serves again, and is purged again.
  std::vector<void*> again(kSlabs);
  taken = 0;
  while (taken < again.size()) taken += take_blocks(id, &again[taken], again.size() - taken);
  put_blocks(id, again.data(), again.size());
  put_blocks(id, kept.data(), kept.size());
}

TEST_F(TakePut, ReleaseSendsTheFreePagesOfAPartialSlabBack) {
  const ClassId id = class_of_size(1024);
  const size_t per_slab = size_class(id).blocks_per_slab;
  std::vector<void*> blocks(2 * per_slab);
  size_t taken = 0;
  while (taken < blocks.size()) taken += take_blocks(id, &blocks[taken], blocks.size() - taken);
  std::sort(blocks.begin(), blocks.end());
  for (void* block : blocks) *static_cast<uint64_t*>(block) = address_of(block);
  // The first block of either slab stays.
  std::vector<void*> kept = {blocks[0], blocks[per_slab]};
  put_blocks(id, &blocks[1], per_slab - 1);
  put_blocks(id, &blocks[per_slab + 1], per_slab - 1);
  const size_t slab_bytes = size_class(id).slab_bytes;
  const size_t quarters_bytes = quarter_stats().resident_bytes;
  EXPECT_EQ(release_slabs(), 2 * (slab_bytes - page_bytes()) + quarters_bytes);
  EXPECT_EQ(quarter_stats().resident_bytes, 0U);
  EXPECT_EQ(release_slabs(), 0U) << "nothing has changed since";
  for (void* block : kept) EXPECT_EQ(*static_cast<uint64_t*>(block), address_of(block));
  // What comes back of them is zero, hence went.
  void* again = nullptr;
  ASSERT_EQ(take_blocks(id, &again, 1), 1U);
  kept.push_back(again);
  void* rest[64];
  const size_t count = take_blocks(id, rest, std::size(rest));
  for (size_t i = 0; i < count; ++i) {
    EXPECT_TRUE(address_of(rest[i]) % page_bytes() != 0 || *static_cast<uint64_t*>(rest[i]) == 0);
  }
  put_blocks(id, rest, count);
  put_blocks(id, kept.data(), kept.size());
}

TEST_F(TakePut, MemoryThatIsRefusedGivesFewerBlocksAndThenNone) {
  const ClassId id = class_of_size(2048);
  std::vector<void*> blocks;
  void* batch[64];
  {
    const test::Refusal refusal;
    for (;;) {
      const size_t count = take_blocks(id, batch, std::size(batch));
      if (count == 0) break;
      blocks.insert(blocks.end(), batch, batch + count);
    }
    EXPECT_EQ(take_blocks(id, batch, 1), 0U);
    EXPECT_EQ(test::slab_stats_of(id).blocks_out, blocks.size());
  }
  const size_t count = take_blocks(id, batch, std::size(batch));
  EXPECT_GT(count, 0U);
  put_blocks(id, batch, count);
  put_blocks(id, blocks.data(), blocks.size());
}

TEST_F(TakePut, ASecondPutOfABlockIsABrokenInvariant) {
  const ClassId id = class_of_size(100);
  void* blocks[2];
  ASSERT_EQ(take_blocks(id, blocks, 2), 2U);
  EXPECT_DEATH(
      {
        put_blocks(id, blocks, 1);
        put_blocks(id, blocks, 1);
      },
      "");
  put_blocks(id, blocks, 2);
}

}  // namespace
}  // namespace elasticpool
