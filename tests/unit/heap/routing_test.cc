// Which tier serves a request: every size, every alignment; what is promised of usable sizes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "base/bits.h"
#include "buddy/buddy.h"
#include "heap/heap.h"
#include "heap/snapshot.h"
#include "large/extents.h"
#include "magazine/thread_cache.h"
#include "magazine/tuner.h"
#include "pagemap/zone.h"
#include "slab/size_classes.h"

extern "C" char** environ;

namespace elasticpool {
namespace {

class Routing : public testing::Test {
 protected:
  void SetUp() override { heap_start(environ); }
};

const Zone& zone_for(size_t bytes) {
  if (bytes <= kTinyBytesMax) return g_tiny_zone;
  if (bytes <= kSmallBytesMax) return g_small_zone;
  return bytes <= kBuddyBytesMax ? g_medium_zone : g_large_zone;
}

// Every size where something may change, and a coarse grid between.
std::vector<size_t> sizes() {
  std::vector<size_t> all;
  for (size_t bytes = 0; bytes <= 40 * kKiB; ++bytes) all.push_back(bytes);
  for (size_t bytes = 40 * kKiB; bytes <= 1200 * kKiB; bytes += 509) all.push_back(bytes);
  for (size_t edge = kGranuleBytes; edge <= 1200 * kKiB; edge += kGranuleBytes) {
    for (const size_t bytes : {edge - 1, edge, edge + 1}) all.push_back(bytes);
  }
  return all;
}

TEST_F(Routing, EverySizeComesFromItsTierWithItsUsableSize) {
  for (const size_t bytes : sizes()) {
    void* block = heap_allocate(bytes);
    ASSERT_NE(block, nullptr) << bytes;
    ASSERT_TRUE(zone_for(bytes).holds(block)) << bytes;
    ASSERT_EQ(address_of(block) % kMinAlignBytes, 0U) << bytes;
    const size_t usable = heap_usable_bytes(block);
    ASSERT_GE(usable, bytes);
    ASSERT_EQ(usable, heap_good_bytes(bytes, kMinAlignBytes)) << bytes;
    // A block of what is said to be good wastes nothing.
    ASSERT_EQ(heap_good_bytes(usable, kMinAlignBytes), usable) << bytes;
    memset(block, 0xa5, usable);
    heap_free(block);
  }
}

TEST_F(Routing, EveryAlignmentHoldsForEverySize) {
  for (size_t align = 1; align <= 4 * kMiB; align *= 2) {
    for (size_t bytes = 0; bytes <= 4 * kMiB; bytes = bytes * 3 / 2 + 1) {
      void* block = heap_allocate_aligned(bytes, align);
      ASSERT_NE(block, nullptr) << bytes << " at " << align;
      ASSERT_EQ(address_of(block) % align, 0U) << bytes;
      const size_t usable = heap_usable_bytes(block);
      ASSERT_GE(usable, bytes);
      ASSERT_EQ(usable, heap_good_bytes(bytes, align)) << bytes << " at " << align;
      memset(block, 0x5a, usable);
      heap_free(block);
    }
  }
}

TEST_F(Routing, AlignedNeighboursDoNotOverlap) {
  for (size_t align = 32; align <= 1 * kMiB; align *= 4) {
    std::vector<unsigned char*> blocks;
    for (size_t bytes = 1; bytes < 300 * kKiB; bytes = bytes * 2 + 1) {
      auto* block = static_cast<unsigned char*>(heap_allocate_aligned(bytes, align));
      ASSERT_NE(block, nullptr);
      memset(block, static_cast<int>(blocks.size() + 1), heap_usable_bytes(block));
      blocks.push_back(block);
    }
    for (size_t i = 0; i < blocks.size(); ++i) {
      ASSERT_EQ(blocks[i][0], i + 1);
      ASSERT_EQ(blocks[i][heap_usable_bytes(blocks[i]) - 1], i + 1);
      heap_free(blocks[i]);
    }
  }
}

TEST_F(Routing, WhatIsTooLargeIsRefused) {
  for (const size_t bytes : {kRequestBytesMax + 1, SIZE_MAX, SIZE_MAX - 4095, kRequestBytesMax}) {
    EXPECT_EQ(heap_allocate(bytes), nullptr) << bytes;
    EXPECT_EQ(heap_allocate_zeroed(bytes), nullptr) << bytes;
    EXPECT_EQ(heap_allocate_aligned(bytes, 4096), nullptr) << bytes;
  }
  for (unsigned shift = 50; shift < 63; ++shift) {
    EXPECT_EQ(heap_allocate_aligned(1, size_t{1} << shift), nullptr) << shift;
  }
  EXPECT_EQ(heap_good_bytes(kRequestBytesMax + 1, 16), 0U);
  auto* block = static_cast<char*>(heap_allocate(100));
  memset(block, 7, 100);
  EXPECT_EQ(heap_reallocate(block, SIZE_MAX), nullptr);
  EXPECT_EQ(block[99], 7);
  heap_free(block);
}

TEST_F(Routing, NothingIsNoBlock) {
  heap_free(nullptr);
  EXPECT_EQ(heap_usable_bytes(nullptr), 0U);
  void* block = heap_reallocate(nullptr, 10);
  EXPECT_NE(block, nullptr);
  heap_free(block);
}

// What no zone can hold is refused at once: nothing is given back for it.
TEST_F(Routing, TheImpossibleCostsNothing) {
  heap_free(heap_allocate(8 * kMiB));
  void* kept = heap_allocate(2 * kMiB);
  void* freed = heap_allocate(100 * kKiB);
  ASSERT_NE(kept, nullptr);
  ASSERT_NE(freed, nullptr);
  heap_free(freed);
  const LargeStats before = large_stats();
  const BuddyStats buddy_before = buddy_stats(ZoneKind::kMedium);
  ASSERT_GE(before.free_resident_bytes, 4 * kMiB);
  EXPECT_EQ(heap_allocate(size_t{1} << 62), nullptr);
  EXPECT_EQ(heap_allocate_zeroed(SIZE_MAX / 2), nullptr);
  EXPECT_EQ(heap_allocate_aligned(64, size_t{1} << 62), nullptr);
  EXPECT_EQ(heap_reallocate(kept, size_t{1} << 62), nullptr);
  const LargeStats after = large_stats();
  EXPECT_EQ(after.free_resident_bytes, before.free_resident_bytes);
  EXPECT_EQ(after.returned_bytes, before.returned_bytes);
  EXPECT_EQ(after.mapped_bytes, before.mapped_bytes);
  EXPECT_EQ(buddy_stats(ZoneKind::kMedium).returned_bytes, buddy_before.returned_bytes);
  heap_free(kept);
}

uint64_t live_buddy_blocks() {
  HeapSnapshot heap;
  take_snapshot(&heap);
  return heap.buddy.live_blocks;
}

TEST_F(Routing, ABuddyBlockThatWasFreedLastComesAgainWithoutItsFrame) {
  heap_free(heap_allocate(100));  // from here on the thread has a cache
  const uint64_t live_blocks = live_buddy_blocks();
  for (size_t bytes = kGranuleBytes; bytes <= kBuddyBytesMax; bytes += kGranuleBytes) {
    void* block = heap_allocate(bytes);
    memset(block, 0xa5, bytes);
    EXPECT_EQ(live_buddy_blocks(), live_blocks + 1);
    heap_free(block);
    EXPECT_EQ(live_buddy_blocks(), live_blocks);
    const uint64_t requests = buddy_stats(ZoneKind::kMedium).requests;
    EXPECT_EQ(heap_allocate(bytes - 1), block) << bytes;
    EXPECT_EQ(heap_usable_bytes(block), bytes);
    EXPECT_EQ(buddy_stats(ZoneKind::kMedium).requests, requests) << "nobody was asked";
    heap_free(block);
    auto* zeroed = static_cast<char*>(heap_allocate_zeroed(bytes));
    EXPECT_EQ(zeroed, block);
    EXPECT_EQ(std::count(zeroed, zeroed + bytes, 0), static_cast<ptrdiff_t>(bytes));
    heap_free(zeroed);
  }
  heap_trim(0);
  EXPECT_EQ(buddy_stats(ZoneKind::kMedium).live_blocks, live_blocks);
}

TEST_F(Routing, AThreadThatEndsLeavesNoBuddyBlocks) {
  heap_trim(0);
  const BuddyStats before = buddy_stats(ZoneKind::kMedium);
  std::thread([] {
    heap_free(heap_allocate(100));
    for (size_t bytes = kGranuleBytes; bytes <= kBuddyBytesMax; bytes *= 2) {
      heap_free(heap_allocate(bytes));
    }
  }).join();
  EXPECT_EQ(buddy_stats(ZoneKind::kMedium).live_blocks, before.live_blocks);
  EXPECT_GT(buddy_stats(ZoneKind::kMedium).requests, before.requests);
}

TEST_F(Routing, OfOneLengthTheLastIsKept) {
  heap_free(heap_allocate(100));
  heap_trim(0);
  const uint64_t live_blocks = buddy_stats(ZoneKind::kMedium).live_blocks;
  void* first = heap_allocate(200 * kKiB);
  void* last = heap_allocate(200 * kKiB);
  heap_free(first);
  heap_free(last);
  EXPECT_EQ(buddy_stats(ZoneKind::kMedium).live_blocks, live_blocks + 1);
  EXPECT_EQ(heap_allocate(200 * kKiB), last);
  heap_free(last);
  // All lengths together stay within the bound; the last one is there in any case.
  for (size_t bytes = kGranuleBytes; bytes <= kBuddyBytesMax; bytes += kGranuleBytes) {
    void* block = heap_allocate(bytes);
    heap_free(block);
    EXPECT_LE(buddy_stats(ZoneKind::kMedium).live_bytes, kBuddyBytesMax);
    EXPECT_EQ(heap_allocate(bytes), block);
    heap_free(block);
  }
}

TEST_F(Routing, WhoOnlyFreesKeepsNoBuddyBlocks) {
  heap_trim(0);
  const uint64_t live_blocks = buddy_stats(ZoneKind::kMedium).live_blocks;
  heap_free(heap_allocate(kBuddyBytesMax));
  EXPECT_EQ(buddy_stats(ZoneKind::kMedium).live_blocks, live_blocks + 1);
  std::vector<void*> blocks(4 * kFreeingBytes / 256);
  for (void*& block : blocks) block = heap_allocate(256);
  void* last = heap_allocate(kBuddyBytesMax);
  for (void* block : blocks) heap_free(block);
  EXPECT_EQ(buddy_stats(ZoneKind::kMedium).live_blocks, live_blocks + 1) << "the one in use";
  heap_free(last);
  EXPECT_EQ(buddy_stats(ZoneKind::kMedium).live_blocks, live_blocks);
}

// A thread without a cache has no slots.
TEST_F(Routing, AThreadThatOnlyFreesFreesBuddyBlocks) {
  heap_trim(0);
  const uint64_t live_blocks = buddy_stats(ZoneKind::kMedium).live_blocks;
  void* block = heap_allocate(300 * kKiB);
  std::thread([block] { heap_free(block); }).join();
  EXPECT_EQ(buddy_stats(ZoneKind::kMedium).live_blocks, live_blocks);
  EXPECT_EQ(g_vacant_cache.runs.held(), 0U);
}

TEST_F(Routing, RunsThatNobodyAsksForGoWhenTheHelperHasBeaten) {
  heap_trim(0);
  const uint64_t live_blocks = buddy_stats(ZoneKind::kMedium).live_blocks;
  heap_free(heap_allocate(kBuddyBytesMax));
  for (uint32_t beat = 0; beat < kIdleBeats; ++beat) beat_magazines();
  std::vector<void*> blocks(3000);
  for (void*& block : blocks) block = heap_allocate(64);
  for (uint32_t beat = 0; beat < kIdleBeats; ++beat) beat_magazines();
  for (void*& block : blocks) heap_free(block);
  EXPECT_EQ(buddy_stats(ZoneKind::kMedium).live_blocks, live_blocks);
}

// Blocks of all lengths, at random, with other alignments: each is whole and nobody else's.
TEST_F(Routing, BuddyBlocksKeepTheirContents) {
  std::mt19937 random(7);
  struct Held {
    unsigned char* start;
    size_t bytes;
    int stamp;
  };
  std::vector<Held> held;
  for (int step = 0; step < 20'000; ++step) {
    if (held.size() < 24 && random() % 2 == 0) {
      const size_t bytes = kSlabBytesMax + 1 + random() % (kBuddyBytesMax - kSlabBytesMax);
      const size_t align = random() % 4 == 0 ? size_t{128} * kKiB : kMinAlignBytes;
      auto* start = static_cast<unsigned char*>(heap_allocate_aligned(bytes, align));
      ASSERT_EQ(address_of(start) % align, 0U);
      start[0] = start[bytes - 1] = static_cast<unsigned char>(step);
      held.push_back({start, bytes, step});
    } else if (!held.empty()) {
      std::swap(held[random() % held.size()], held.back());
      const Held& last = held.back();
      ASSERT_EQ(last.start[0], static_cast<unsigned char>(last.stamp));
      ASSERT_EQ(last.start[last.bytes - 1], static_cast<unsigned char>(last.stamp));
      heap_free(last.start);
      held.pop_back();
    }
  }
  for (const Held& last : held) heap_free(last.start);
}

}  // namespace
}  // namespace elasticpool
