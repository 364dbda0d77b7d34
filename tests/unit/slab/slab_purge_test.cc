// slab_purge(): the pages of free blocks go back, all of them and no others.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "slabs.h"

namespace elasticpool::test {
namespace {

constexpr unsigned kSeed = 503;

// A slab in which every byte is written, and of which some blocks are out.
class WrittenSlab {
 public:
  WrittenSlab(ClassId id, unsigned out_per_mille, std::mt19937& random)
      : slab_(slab_create(id, kTestNode)), is_out_(slab_->blocks, true) {
    std::vector<void*> blocks(slab_->blocks);
    EXPECT_EQ(slab_take(slab_, blocks.data(), blocks.size()), blocks.size());
    for (uint32_t i = 0; i < slab_->blocks; ++i) memset(block_at(slab_, i), mark(i), block_bytes());
    // In runs, as programs free.
    bool out = true;
    for (uint32_t i = 0; i < slab_->blocks; ++i) {
      if (random() % 8 == 0) out = random() % 1000 < out_per_mille;
      if (!out) put(i);
    }
  }
  ~WrittenSlab() {
    for (uint32_t i = 0; i < slab_->blocks; ++i) {
      if (is_out_[i]) put(i);
    }
    slab_destroy(slab_);
  }
  WrittenSlab(const WrittenSlab&) = delete;
  WrittenSlab& operator=(const WrittenSlab&) = delete;

  Slab* slab() { return slab_; }

  void put(uint32_t index) {
    void* const block = block_at(slab_, index);
    slab_put(slab_, &block, 1);
    is_out_[index] = false;
  }
  // The lowest block that is free; it is written again.
  void take_one() {
    void* block = nullptr;
    ASSERT_EQ(slab_take(slab_, &block, 1), 1U);
    const auto index = static_cast<uint32_t>((address_of(block) - slab_->start) / block_bytes());
    ASSERT_FALSE(is_out_[index]);
    is_out_[index] = true;
    memset(block, mark(index), block_bytes());
  }

  // Pages on which free blocks lie and nothing else but the begin of the slab's tail.
  size_t purgeable_bytes() const {
    const size_t page = page_bytes();
    size_t bytes = 0;
    const uintptr_t end = round_up(slab_->start + slab_->blocks * block_bytes(), page);
    for (uintptr_t at = slab_->start; at + page <= end; at += page) {
      bool is_free = true;
      const size_t last = (at + page - 1 - slab_->start) / block_bytes();
      for (size_t i = (at - slab_->start) / block_bytes(); i <= last; ++i) {
        is_free = is_free && (i >= slab_->blocks || !is_out_[i]);
      }
      if (is_free) bytes += page;
    }
    return bytes;
  }

  void expect_live_intact() const {
    for (uint32_t i = 0; i < slab_->blocks; ++i) {
      if (!is_out_[i]) continue;
      const char* block = block_at(slab_, i);
      ASSERT_EQ(block[0], mark(i)) << "block " << i << " of " << block_bytes();
      ASSERT_EQ(memcmp(block, block + 1, block_bytes() - 1), 0) << "block " << i;
    }
  }

  void expect_no_live_block_in(const Range& range) const {
    ASSERT_GE(range.start, slab_->start);
    ASSERT_LE(range.end, slab_->start + size_class(slab_->class_id).slab_bytes);
    const size_t last = (range.end - 1 - slab_->start) / block_bytes();
    for (size_t i = (range.start - slab_->start) / block_bytes(); i <= last; ++i) {
      ASSERT_FALSE(i < slab_->blocks && is_out_[i]) << "block " << i << " is live";
    }
  }

 private:
  static char mark(uint32_t index) { return static_cast<char>(1 + index % 100); }
  size_t block_bytes() const { return block_bytes_of(slab_->class_id); }

  Slab* slab_;
  std::vector<bool> is_out_;
};

class SlabPurge : public testing::Test {
 protected:
  void SetUp() override {
    slab_vm().fail_nothing();
    slab_vm().decommitted.clear();
  }
  std::mt19937 random_{kSeed};
};

TEST_F(SlabPurge, PagesOfFreeBlocksAlone) {
  for (size_t i = 0; i < kClasses; ++i) {
    for (const unsigned out_per_mille : {0U, 50U, 300U, 800U, 1000U}) {
      SCOPED_TRACE(testing::Message()
                   << "class " << i << ", " << out_per_mille << " per mille out, seed " << kSeed);
      WrittenSlab written(class_at(i), out_per_mille, random_);
      slab_vm().decommitted.clear();
      const size_t expected = written.purgeable_bytes();
      ASSERT_EQ(slab_purge(written.slab()), expected);
      written.expect_live_intact();
      size_t asked = 0;
      for (const Range& range : slab_vm().decommitted) {
        written.expect_no_live_block_in(range);
        asked += range.end - range.start;
        for (uintptr_t at = range.start; at < range.end; at += 64) {
          ASSERT_EQ(*reinterpret_cast<const char*>(at), 0);
        }
      }
      ASSERT_EQ(asked, expected);
    }
  }
}

// However large the system's pages are, and wherever the slab lies.
TEST(FreePages, EndWithinTheSlabAndBehindItsLastBlock) {
  for (const SizeClass& c : kSizeClasses) {
    const size_t stride_bytes = std::min(size_t{c.slab_bytes}, kGranuleBytes);
    for (const size_t page : {4 * kKiB, 16 * kKiB, 64 * kKiB}) {
      for (uintptr_t start = kGiB; start < kGiB + kGranuleBytes; start += stride_bytes) {
        const uintptr_t slab_end = start + c.slab_bytes;
        const uintptr_t blocks_end = start + size_t{c.blocks_per_slab} * c.block_bytes;
        const uintptr_t last = free_pages_end(c, start, c.blocks_per_slab, page);
        ASSERT_LE(last, slab_end) << c.block_bytes << ", pages of " << page;
        ASSERT_EQ(last % page, 0U);
        if (c.slab_bytes >= page) {
          ASSERT_GE(last, blocks_end) << c.block_bytes << ", pages of " << page;
          ASSERT_LT(last, blocks_end + page);
        }
        for (size_t i = 0; i < c.blocks_per_slab; ++i) {
          ASSERT_LE(free_pages_end(c, start, i, page), start + i * c.block_bytes) << "block is out";
        }
      }
    }
  }
}

TEST_F(SlabPurge, AgainOnlyAfterAChange) {
  WrittenSlab written(class_of_size(512), 300, random_);
  EXPECT_GT(slab_purge(written.slab()), 0U);
  EXPECT_EQ(slab_purge(written.slab()), 0U) << "nothing changed since";
  written.take_one();
  EXPECT_EQ(slab_purge(written.slab()), written.purgeable_bytes());
  EXPECT_EQ(slab_purge(written.slab()), 0U);
  written.expect_live_intact();
}

TEST_F(SlabPurge, PutCountsAsAChange) {
  WrittenSlab written(class_of_size(4096), 1000, random_);
  EXPECT_EQ(slab_purge(written.slab()), 0U);
  written.put(3);
  EXPECT_EQ(slab_purge(written.slab()), written.purgeable_bytes());
  EXPECT_GT(written.purgeable_bytes(), 0U);
}

TEST_F(SlabPurge, RefusalKeepsLiveBlocks) {
  for (const size_t bytes : {size_t{48}, size_t{512}, size_t{5000}}) {
    WrittenSlab written(class_of_size(bytes), 1000, random_);
    // Two free runs: one is refused, the other goes.
    const uint32_t blocks = written.slab()->blocks;
    for (uint32_t i = 0; i < blocks; ++i) {
      if (i < blocks / 2 || i > blocks / 2 + 1) written.put(i);
    }
    const size_t expected = written.purgeable_bytes();
    ASSERT_GT(expected, 0U);
    slab_vm().decommitted.clear();
    slab_vm().fail(VmCall::kDecommit, 1);
    const size_t returned = slab_purge(written.slab());
    ASSERT_FALSE(slab_vm().decommitted.empty());
    const Range refused = slab_vm().decommitted.front();
    EXPECT_EQ(returned, expected - (refused.end - refused.start));
    written.expect_live_intact();
    written.expect_no_live_block_in(refused);
  }
}

}  // namespace
}  // namespace elasticpool::test
