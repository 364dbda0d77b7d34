// slab/slab.h: making and unmaking slabs, whose block an address is, misuse.
#include "slab/slab.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <vector>

#include "os/meta_arena.h"
#include "slabs.h"

namespace elasticpool::test {
namespace {

class SlabTest : public testing::Test {
 protected:
  void SetUp() override { slab_vm().fail_nothing(); }
  void TearDown() override {
    EXPECT_EQ(buddy_stats(ZoneKind::kTiny).used_granules, 0U);
    EXPECT_EQ(buddy_stats(ZoneKind::kSmall).used_granules, 0U);
    EXPECT_EQ(buddy_stats(ZoneKind::kMedium).used_granules, 0U);
  }
};

TEST_F(SlabTest, NewSlabIsFull) {
  for (size_t i = 0; i < kClasses; ++i) {
    const ClassId id = class_at(i);
    const SizeClass& c = size_class(id);
    Slab* slab = slab_create(id, kTestNode);
    ASSERT_NE(slab, nullptr);
    EXPECT_EQ(slab->class_id, id);
    EXPECT_EQ(slab->node, kTestNode);
    EXPECT_EQ(slab->home.load(), nullptr);
    EXPECT_EQ(slab->blocks, c.blocks_per_slab);
    EXPECT_EQ(slab->free_count, slab->blocks);
    EXPECT_EQ(slab->start % std::min(size_t{c.slab_bytes}, kGranuleBytes), 0U);
    EXPECT_FALSE(slab->is_free_quarter);
    uint32_t bits = 0;
    for (uint32_t word = 0; word < slab->words(); ++word) {
      bits += static_cast<uint32_t>(std::popcount(slab->free_bits[word]));
    }
    EXPECT_EQ(bits, slab->blocks) << "class of " << c.block_bytes;
    EXPECT_TRUE(zone_of(id).holds(block_at(slab, 0)));
    EXPECT_TRUE(slab_vm().is_mapped(slab->start, c.slab_bytes));
    slab_destroy(slab);
  }
}

TEST_F(SlabTest, AnyAddressFindsItsSlab) {
  for (size_t i = 0; i < kClasses; ++i) {
    const Zone& zone = zone_of(class_at(i));
    Slab* slabs[3];
    for (Slab*& slab : slabs) slab = slab_create(class_at(i), kTestNode);
    for (Slab* slab : slabs) {
      ASSERT_NE(slab, nullptr);
      const size_t block_bytes = block_bytes_of(slab->class_id);
      for (uint32_t b = 0; b < slab->blocks; ++b) {
        ASSERT_EQ(slab_of(zone, block_at(slab, b)), slab);
        ASSERT_EQ(slab_of(zone, block_at(slab, b) + block_bytes - 1), slab);
      }
    }
    for (Slab* slab : slabs) slab_destroy(slab);
  }
}

// The records of a frame full of slabs do not overlap: the bitmap of each stays its own.
TEST_F(SlabTest, RecordsOfNeighboursAreApart) {
  for (const size_t i : {size_t{0}, kFirstSmallClass - 1, kFirstSmallClass, kFirstMediumClass - 1,
                         kFirstMediumClass, kClasses - 1}) {
    std::vector<Slab*> slabs;
    const size_t slab_bytes = size_class(class_at(i)).slab_bytes;
    for (size_t n = 0; n < 2 * kFrameBytes / slab_bytes; ++n) {
      slabs.push_back(slab_create(class_at(i), kTestNode));
    }
    std::vector<void*> blocks(slabs[0]->blocks);
    for (Slab* slab : slabs) {
      ASSERT_EQ(slab->free_count, slab->blocks);
      ASSERT_EQ(slab_take(slab, blocks.data(), blocks.size()), slab->blocks);
      for (Slab* other : slabs) {
        uint32_t bits = 0;
        for (uint32_t w = 0; w < other->words(); ++w) {
          bits += static_cast<uint32_t>(std::popcount(other->free_bits[w]));
        }
        ASSERT_EQ(bits, other == slab ? 0 : other->blocks);
        ASSERT_EQ(other->free_count, bits);
      }
      for (void* block : blocks) slab_put(slab, &block, 1);
    }
    for (Slab* slab : slabs) slab_destroy(slab);
  }
}

// A batch of several slabs is put back run by run: each takes what is its own, wherever the next
// one lies.
TEST_F(SlabTest, PutsBackUpToTheFirstOfAnother) {
  for (size_t i = 0; i < kClasses; ++i) {
    Slab* slabs[3];
    void* blocks[3][2];
    for (size_t n = 0; n < 3; ++n) {
      slabs[n] = slab_create(class_at(i), kTestNode);
      ASSERT_EQ(slab_take(slabs[n], blocks[n], 2), 2U);
    }
    for (const size_t other : {size_t{0}, size_t{2}}) {
      void* const batch[] = {blocks[1][1], blocks[1][0], blocks[other][0], blocks[1][1]};
      const uint32_t before = slabs[other]->free_count;
      EXPECT_EQ(slab_put(slabs[1], batch, 4), 2U)
          << "class of " << size_class(class_at(i)).block_bytes;
      EXPECT_EQ(slabs[1]->free_count, slabs[1]->blocks);
      EXPECT_EQ(slabs[other]->free_count, before);
      ASSERT_EQ(slab_take(slabs[1], blocks[1], 2), 2U);
    }
    for (size_t n = 0; n < 3; ++n) {
      EXPECT_EQ(slab_put(slabs[n], blocks[n], 2), 2U);
      slab_destroy(slabs[n]);
    }
  }
}

TEST_F(SlabTest, OnlyBlocksStartAtTheirStarts) {
  for (size_t i = 0; i < kClasses; ++i) {
    Slab* slab = slab_create(class_at(i), kTestNode);
    ASSERT_NE(slab, nullptr);
    const SizeClass& c = size_class(slab->class_id);
    const size_t slab_bytes = c.slab_bytes;
    const size_t blocks_end = size_t{c.blocks_per_slab} * c.block_bytes;
    for (size_t offset = 0; offset < slab_bytes; ++offset) {
      const bool expected = offset % c.block_bytes == 0 && offset < blocks_end;
      ASSERT_EQ(starts_block(slab, block_at(slab, 0) + offset), expected)
          << offset << " in a slab of " << c.block_bytes;
    }
    slab_destroy(slab);
  }
}

TEST_F(SlabTest, RefusedSlabChangesNothing) {
  buddy_release(0);
  for (const size_t i : {size_t{0}, kClasses - 1}) {
    slab_vm().fail(VmCall::kMapAt, 1, FakeVm::kFromThereOn);
    Slab* refused = slab_create(class_at(i), kTestNode);
    // A frame may have been left mapped: then none was needed.
    if (slab_vm().calls(VmCall::kMapAt) > 0) {
      EXPECT_EQ(refused, nullptr);
    }
    slab_vm().fail_nothing();
    Slab* slab = slab_create(class_at(i), kTestNode);
    EXPECT_NE(slab, nullptr);
    if (refused != nullptr) slab_destroy(refused);
    if (slab != nullptr) slab_destroy(slab);
  }
}

// The smallest class has its bitmap in a record of its own.
TEST_F(SlabTest, RefusedBitmapCostsNoRun) {
  std::vector<Slab*> slabs;
  slab_vm().fail(VmCall::kMapAnywhere, 1, FakeVm::kFromThereOn);
  while (Slab* slab = slab_create(class_at(0), kTestNode)) slabs.push_back(slab);
  EXPECT_EQ(buddy_stats(ZoneKind::kTiny).used_granules,
            divide_up(slabs.size() * kQuarterBytes, kGranuleBytes));
  slab_vm().fail_nothing();
  for (Slab* slab : slabs) slab_destroy(slab);
}

TEST_F(SlabTest, RefusedRunCostsNoBitmap) {
  std::vector<Slab*> slabs;
  slab_vm().fail(VmCall::kMapAt, 1, FakeVm::kFromThereOn);
  while (Slab* slab = slab_create(class_at(0), kTestNode)) slabs.push_back(slab);
  const size_t mapped_bytes = meta_mapped_bytes();
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(slab_create(class_at(0), kTestNode), nullptr);
  EXPECT_EQ(meta_mapped_bytes(), mapped_bytes);
  slab_vm().fail_nothing();
  for (Slab* slab : slabs) slab_destroy(slab);
}

TEST_F(SlabTest, BlocksAreAligned) {
  for (size_t i = 0; i < kClasses; ++i) {
    Slab* slab = slab_create(class_at(i), kTestNode);
    ASSERT_NE(slab, nullptr);
    const size_t block_bytes = block_bytes_of(class_at(i));
    const size_t align_bytes = block_bytes & (~block_bytes + 1);
    for (uint32_t b = 0; b < slab->blocks; ++b) {
      ASSERT_EQ(address_of(block_at(slab, b)) % align_bytes, 0U) << block_bytes;
    }
    slab_destroy(slab);
  }
}

// What match() says of every step of a slab: whether a live block of its class starts there.
template <ZoneShape kShape>
void expect_only_live_blocks_match(const Slab* slab, const std::vector<bool>& is_live) {
  const SizeClass& c = size_class(slab->class_id);
  for (size_t offset = 0; offset < c.slab_bytes; offset += kMinAlignBytes) {
    const uintptr_t step = step_of_address<kShape>(slab->start + offset);
    if (!zone_of(slab->class_id).holds_step(step)) continue;
    const size_t index = offset / c.block_bytes;
    const bool expected = offset % c.block_bytes == 0 && index < slab->blocks && is_live[index];
    const size_t code = match<kShape>(cell_at<kShape>(step), step);
    ASSERT_EQ(is_class_code(zone_kind_of(slab->class_id), code), expected)
        << offset << " in a slab of " << c.block_bytes;
    if (expected) {
      ASSERT_EQ(class_of_code(zone_kind_of(slab->class_id), code), slab->class_id);
    }
  }
}

template <ZoneShape kShape>
void check_cells_of(ClassId id) {
  Slab* slab = slab_create(id, kTestNode);
  ASSERT_NE(slab, nullptr);
  std::vector<bool> is_live(slab->blocks, false);
  expect_only_live_blocks_match<kShape>(slab, is_live);
  const auto cell_of = [slab](uint32_t i) -> uint8_t& {
    return cell_at<kShape>(step_of<kShape>(block_at(slab, i)));
  };
  for (uint32_t i = 0; i < slab->blocks; i += 2) {
    is_live[i] = true;
    mark_live<kShape>(cell_of(i), code_of(id));
  }
  expect_only_live_blocks_match<kShape>(slab, is_live);
  for (uint32_t i = 0; i < slab->blocks; i += 2) mark_dead<kShape>(cell_of(i));
  is_live.assign(slab->blocks, false);
  expect_only_live_blocks_match<kShape>(slab, is_live);
  slab_destroy(slab);
}

// One class after the other in the same granules: what an earlier slab has stamped is gone.
TEST_F(SlabTest, OnlyLiveBlocksMatchTheirCells) {
  for (size_t i = 0; i < kClasses; ++i) {
    switch (zone_kind_of(class_at(i))) {
      case ZoneKind::kTiny:
        check_cells_of<kTinyShape>(class_at(i));
        break;
      case ZoneKind::kSmall:
        check_cells_of<kSmallShape>(class_at(i));
        break;
      default:
        check_cells_of<kMediumShape>(class_at(i));
    }
  }
}

using SlabDeathTest = SlabTest;

TEST_F(SlabDeathTest, PutTwice) {
  for (const size_t i : {size_t{0}, size_t{30}, kClasses - 1}) {
    Slab* slab = slab_create(class_at(i), kTestNode);
    void* blocks[2] = {};
    ASSERT_EQ(slab_take(slab, blocks, 2), 2U);
    void* const same[2] = {blocks[0], blocks[0]};
    EXPECT_EXIT(slab_put(slab, same, 2), testing::KilledBySignal(SIGABRT), "");
    slab_put(slab, &blocks[0], 1);
    EXPECT_EXIT(slab_put(slab, &blocks[0], 1), testing::KilledBySignal(SIGABRT), "");
    slab_put(slab, &blocks[1], 1);
    EXPECT_EXIT(slab_put(slab, &blocks[1], 1), testing::KilledBySignal(SIGABRT), "");
    slab_destroy(slab);
  }
}

TEST_F(SlabDeathTest, DestroyWithALiveBlock) {
  Slab* slab = slab_create(class_at(5), kTestNode);
  void* block = nullptr;
  ASSERT_EQ(slab_take(slab, &block, 1), 1U);
  EXPECT_EXIT(slab_destroy(slab), testing::KilledBySignal(SIGABRT), "");
  slab_put(slab, &block, 1);
  slab_destroy(slab);
}

}  // namespace
}  // namespace elasticpool::test
