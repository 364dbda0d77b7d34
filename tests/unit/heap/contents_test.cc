// What becomes of a block's bytes: realloc across tiers, calloc after dirty use, trim.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "base/units.h"
#include "heap/heap.h"
#include "heap/snapshot.h"

extern "C" char** environ;

namespace elasticpool {
namespace {

// Both sides of every border between tiers, classes and granules.
constexpr size_t kSizes[] = {1,       16,      17,      1000,    1024,    1025,   4000,
                             32767,   32768,   32769,   65536,   65537,   200000, 524288,
                             1048575, 1048576, 1048577, 2097152, 2097153, 5000000};

class Contents : public testing::Test {
 protected:
  void SetUp() override { heap_start(environ); }
};

void fill(unsigned char* block, size_t bytes, unsigned seed) {
  for (size_t i = 0; i < bytes; ++i)
    block[i] = static_cast<unsigned char>(i * 31 + (i >> 8) + seed);
}

bool holds(const unsigned char* block, size_t bytes, unsigned seed) {
  for (size_t i = 0; i < bytes; ++i) {
    if (block[i] != static_cast<unsigned char>(i * 31 + (i >> 8) + seed)) return false;
  }
  return true;
}

TEST_F(Contents, ReallocKeepsThemBetweenAnyTwoSizes) {
  unsigned seed = 0;
  for (const size_t from : kSizes) {
    for (const size_t to : kSizes) {
      auto* block = static_cast<unsigned char*>(heap_allocate(from));
      ASSERT_NE(block, nullptr);
      fill(block, from, ++seed);
      block = static_cast<unsigned char*>(heap_reallocate(block, to));
      ASSERT_NE(block, nullptr);
      ASSERT_TRUE(holds(block, std::min(from, to), seed)) << from << " to " << to;
      ASSERT_GE(heap_usable_bytes(block), to);
      fill(block, to, seed);
      heap_free(block);
    }
  }
}

TEST_F(Contents, GrowingStepByStepKeepsThem) {
  unsigned char* block = nullptr;
  size_t bytes = 0;
  for (size_t next = 1; next < 12 * kMiB; next += next / 5 + 1) {
    block = static_cast<unsigned char*>(heap_reallocate(block, next));
    ASSERT_NE(block, nullptr);
    ASSERT_TRUE(holds(block, std::min<size_t>(bytes, 70000), 5)) << next;
    fill(block, next, 5);
    bytes = next;
  }
  ASSERT_TRUE(holds(block, bytes, 5));
  heap_free(block);
}

TEST_F(Contents, ResizingOneBlockLeavesItsNeighboursAlone) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  struct Live {
    unsigned char* data = nullptr;
    size_t bytes = 0;
    unsigned tag = 0;
  };
  std::vector<Live> blocks(60);
  for (int step = 0; step < 1500; ++step) {
    Live& live = blocks[random() % blocks.size()];
    ASSERT_TRUE(live.data == nullptr || holds(live.data, live.bytes, live.tag)) << "step " << step;
    if (random() % 5 == 0) {
      heap_free(live.data);
      live = {};
      continue;
    }
    // Buddy blocks and their borders, where growing in place is tried.
    const size_t bytes = 30 * kKiB + random() % (random() % 16 == 0 ? 1100 * kKiB : 200 * kKiB);
    live.data = static_cast<unsigned char*>(heap_reallocate(live.data, bytes));
    ASSERT_NE(live.data, nullptr);
    ASSERT_TRUE(holds(live.data, std::min(bytes, live.bytes), live.tag)) << "step " << step;
    live.bytes = bytes;
    live.tag = static_cast<unsigned>(step);
    fill(live.data, bytes, live.tag);
  }
  for (const Live& live : blocks) heap_free(live.data);
}

TEST_F(Contents, CallocIsZeroAfterDirtyUse) {
  for (int round = 0; round < 3; ++round) {
    for (const size_t bytes : kSizes) {
      std::vector<void*> blocks(3);
      for (void*& block : blocks) {
        block = heap_allocate(bytes);
        memset(block, 0xff, heap_usable_bytes(block));
      }
      for (void* block : blocks) heap_free(block);
      if (round == 1) heap_trim(0);
      for (void*& block : blocks) {
        block = heap_allocate_zeroed(bytes);
        ASSERT_NE(block, nullptr);
        const auto* data = static_cast<const unsigned char*>(block);
        for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(data[i], 0) << bytes << " at " << i;
      }
      for (void* block : blocks) {
        memset(block, 0xff, bytes);
        heap_free(block);
      }
    }
  }
}

TEST_F(Contents, TrimReturnsWhatIsFreeAndNothingElse) {
  std::vector<unsigned char*> kept;
  std::vector<unsigned char*> freed;
  for (int i = 0; i < 200; ++i) {
    for (const size_t bytes :
         {size_t{100}, size_t{3000}, size_t{30000}, size_t{100000}, size_t{400000}}) {
      auto* block = static_cast<unsigned char*>(heap_allocate(bytes));
      ASSERT_NE(block, nullptr);
      fill(block, bytes, static_cast<unsigned>(bytes));
      (i % 7 == 0 ? kept : freed).push_back(block);
    }
  }
  for (unsigned char* block : freed) heap_free(block);
  heap_trim(0);
  HeapSnapshot heap;
  take_snapshot(&heap);
  EXPECT_EQ(heap.buddy.free_resident_bytes, 0U);
  EXPECT_EQ(heap.large.free_resident_bytes, 0U);
  EXPECT_EQ(heap_trim(0), 0U) << "nothing is left to return";
  size_t next = 0;
  for (unsigned char* block : kept) {
    constexpr size_t kBytes[] = {100, 3000, 30000, 100000, 400000};
    const size_t bytes = kBytes[next++ % 5];
    ASSERT_TRUE(holds(block, bytes, static_cast<unsigned>(bytes)));
    heap_free(block);
  }
}

TEST_F(Contents, TheSnapshotCountsWhatIsHeldExactly) {
  HeapSnapshot before;
  take_snapshot(&before);
  std::vector<void*> blocks;
  uint64_t bytes = 0;
  for (const size_t size : kSizes) {
    for (int i = 0; i < 10; ++i) {
      blocks.push_back(heap_allocate(size));
      bytes += heap_usable_bytes(blocks.back());
    }
  }
  HeapSnapshot now;
  take_snapshot(&now);
  EXPECT_EQ(now.live_blocks() - before.live_blocks(), blocks.size());
  EXPECT_EQ(now.live_bytes() - before.live_bytes(), bytes);
  EXPECT_EQ(now.requests() - before.requests(), blocks.size());
  for (void* block : blocks) heap_free(block);
  take_snapshot(&now);
  EXPECT_EQ(now.live_blocks(), before.live_blocks());
  EXPECT_EQ(now.live_bytes(), before.live_bytes());
}

}  // namespace
}  // namespace elasticpool
