// buddy/buddy.h: what goes back when, what is known to be zero, misuse, threads.
#include "buddy/buddy.h"

#include <gtest/gtest.h>

#include <csignal>
#include <random>
#include <thread>
#include <vector>

#include "base/reclaimer.h"
#include "base/surplus_gauge.h"
#include "runs.h"

namespace elasticpool::test {
namespace {

constexpr NodeId kNode{0};
constexpr size_t kEverything = SIZE_MAX / 2;

class Buddy : public testing::Test {
 protected:
  void SetUp() override {
    buddy_vm().fail_nothing();
    buddy_set_retain(kEverything);
    buddy_release(0);
    runs_.check();
  }
  void TearDown() override {
    runs_.free_all();
    buddy_release(0);
    runs_.check();
  }

  static void* take(size_t granules, bool* zeroed) {
    return buddy_allocate(g_small_zone, kNode, granules, zeroed);
  }
  static bool is_mapped(const void* run) {
    return buddy_vm().is_mapped(address_of(run), kGranuleBytes);
  }

  Runs runs_;
};

TEST_F(Buddy, EveryLengthIsAlignedAndGoesBack) {
  for (Zone* zone : {&g_tiny_zone, &g_small_zone, &g_medium_zone}) {
    for (size_t granules = 1; granules <= kGranulesPerFrame; ++granules) {
      ASSERT_TRUE(runs_.allocate(*zone, kNode, granules));
      ASSERT_TRUE(runs_.allocate(*zone, kNode, granules));
      runs_.check();
      runs_.free_all();
      runs_.check();
    }
  }
}

TEST_F(Buddy, ZoneIsAsAsked) {
  bool zeroed = false;
  for (Zone* zone : {&g_tiny_zone, &g_small_zone, &g_medium_zone}) {
    void* run = buddy_allocate(*zone, kNode, 2, &zeroed);
    EXPECT_TRUE(zone->holds(run));
    buddy_free(*zone, run);
  }
  ASSERT_TRUE(runs_.allocate_block(kNode, 100 * kKiB, 1));
  EXPECT_TRUE(g_medium_zone.holds(runs_.all()[0].start));
}

TEST_F(Buddy, OnlyUntouchedIsZeroed) {
  bool zeroed = false;
  void* run = take(1, &zeroed);
  EXPECT_TRUE(zeroed) << "a new frame";
  buddy_free(g_small_zone, run);
  void* again = take(1, &zeroed);
  EXPECT_EQ(again, run);
  EXPECT_FALSE(zeroed) << "its last owner may have written to it";
  void* behind = take(1, &zeroed);
  EXPECT_TRUE(zeroed) << "nobody had it yet";
  buddy_free(g_small_zone, again);
  // The frame stays for the second run, the first one's page goes.
  EXPECT_EQ(buddy_release(0), kGranuleBytes);
  again = take(1, &zeroed);
  EXPECT_EQ(again, run);
  EXPECT_TRUE(zeroed) << "its memory went back";
  buddy_free(g_small_zone, again);
  buddy_free(g_small_zone, behind);
}

TEST_F(Buddy, RefusedDecommitIsNotZero) {
  bool zeroed = false;
  void* run = take(1, &zeroed);
  void* other = take(1, &zeroed);
  buddy_free(g_small_zone, run);
  buddy_vm().fail(VmCall::kDecommit, 1);
  EXPECT_EQ(buddy_release(0), 0U);
  EXPECT_EQ(take(1, &zeroed), run);
  EXPECT_FALSE(zeroed);
  buddy_free(g_small_zone, run);
  buddy_free(g_small_zone, other);
}

TEST_F(Buddy, EmptyFrameIsUnmappedAndItsPlaceUsedAgain) {
  bool zeroed = false;
  const size_t frames = zone_frames(g_small_zone);
  void* run = take(kGranulesPerFrame, &zeroed);
  memset(run, 1, kFrameBytes);
  buddy_free(g_small_zone, run);
  EXPECT_TRUE(is_mapped(run)) << "within what may be retained";
  const uint64_t mapped_frames = buddy_stats(ZoneKind::kSmall).frames;
  EXPECT_EQ(buddy_release(0), kFrameBytes);
  EXPECT_FALSE(is_mapped(run));
  EXPECT_LT(buddy_stats(ZoneKind::kSmall).frames, mapped_frames);
  void* again = take(kGranulesPerFrame, &zeroed);
  EXPECT_TRUE(zeroed);
  EXPECT_LE(zone_frames(g_small_zone), std::max(frames, size_t{1})) << "new addresses";
  buddy_free(g_small_zone, again);
}

TEST_F(Buddy, RefusedPlaceIsNotLost) {
  bool zeroed = false;
  buddy_free(g_small_zone, take(1, &zeroed));
  buddy_release(0);
  const size_t frames = zone_frames(g_small_zone);
  buddy_vm().fail(VmCall::kMapAt, 1, FakeVm::kFromThereOn);
  std::vector<void*> runs;
  while (void* run = take(kGranulesPerFrame, &zeroed)) runs.push_back(run);
  // As often as there are places to lose.
  for (size_t i = 0; i < frames; ++i) EXPECT_EQ(take(1, &zeroed), nullptr);
  buddy_vm().fail_nothing();
  void* run = take(1, &zeroed);
  EXPECT_NE(run, nullptr);
  EXPECT_EQ(zone_frames(g_small_zone), frames) << "new addresses";
  buddy_free(g_small_zone, run);
  for (void* earlier : runs) buddy_free(g_small_zone, earlier);
}

TEST_F(Buddy, PlaceThatSomebodyTookIsLeftToThem) {
  bool zeroed = false;
  void* run = take(1, &zeroed);
  buddy_free(g_small_zone, run);
  buddy_release(0);
  // The place that went last is the first to be mapped again.
  buddy_vm().fail(VmCall::kMapAt, 1, 1, MapStatus::kTaken);
  void* elsewhere = take(1, &zeroed);
  ASSERT_NE(elsewhere, nullptr);
  EXPECT_NE(elsewhere, run);
  buddy_vm().fail_nothing();
  buddy_free(g_small_zone, elsewhere);
}

// 20 MiB are taken and freed; the most that lay free meanwhile.
class BuddyRetain : public Buddy {
 protected:
  static constexpr size_t kRetain = 4 * kMiB;
  static constexpr size_t kRuns = 20;
  // A window more, with its first and its present step, and the free after that.
  static constexpr size_t kWindow =
      std::max(kRetain / SurplusConstants::kLeastShare, kRuns* kMiB / 8);
  static constexpr size_t kRetainedMost =
      kRetain + kWindow + 2 * kWindow / SurplusConstants::kSteps + kMiB;

  void take_all() {
    for (size_t i = 0; i < kRuns; ++i) ASSERT_TRUE(runs_.allocate(g_medium_zone, kNode, 16));
  }
  size_t free_all() {
    size_t most = 0;
    while (!runs_.empty()) {
      runs_.free(0);
      most = std::max(most, Runs::free_dirty_bytes(g_medium_zone, kNode));
    }
    return most;
  }
};

TEST_F(BuddyRetain, StaysAndAWindowMore) {
  take_all();
  buddy_release(0);  // forgets what was regretted
  buddy_set_retain(kRetain);
  const size_t most = free_all();
  EXPECT_LE(most, kRetainedMost);
  EXPECT_GE(most, kRetain) << "what may stay stays";
  buddy_release(kMiB);
  EXPECT_LE(Runs::free_dirty_bytes(g_medium_zone, kNode), kMiB);
}

TEST_F(BuddyRetain, RisesByWhatWasTakenAgain) {
  constexpr size_t kAgain = 16;
  take_all();
  buddy_release(0);
  buddy_set_retain(kRetain);
  for (size_t i = 0; i < kAgain; ++i) runs_.free(0);
  const size_t given_back = kAgain * kMiB - Runs::free_dirty_bytes(g_medium_zone, kNode);
  EXPECT_GT(given_back, 0U);
  for (size_t i = 0; i < kAgain; ++i) ASSERT_TRUE(runs_.allocate(g_medium_zone, kNode, 16));
  const size_t most = free_all();
  EXPECT_GT(most, kRetainedMost) << "nothing was learnt";
  EXPECT_LE(most, kRetainedMost + given_back);
  // A release forgets.
  buddy_set_retain(kEverything);
  take_all();
  buddy_release(0);
  buddy_set_retain(kRetain);
  EXPECT_LE(free_all(), kRetainedMost);
}

// What another tier asks for goes back, but for half a megabyte.
TEST_F(Buddy, ReclaimKeepsARest) {
  constexpr size_t kRest = 512 * kKiB;
  const struct {
    Zone* zone;
    size_t (*reclaim)(size_t wanted_bytes);
  } tiers[] = {{&g_tiny_zone, buddy_reclaim_tiny},
               {&g_small_zone, buddy_reclaim_small},
               {&g_medium_zone, buddy_reclaim_medium}};
  for (const auto& tier : tiers) {
    EXPECT_EQ(tier.reclaim(kMiB), 0U) << "nothing is free";
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(runs_.allocate(*tier.zone, kNode, 16));
    runs_.free_all();
    const size_t free_bytes = Runs::free_dirty_bytes(*tier.zone, kNode);
    const size_t returned = tier.reclaim(kMiB);
    EXPECT_GE(returned, kMiB);
    EXPECT_LE(returned, kMiB + kFrameBytes) << "a frame more than asked for at most";
    EXPECT_EQ(Runs::free_dirty_bytes(*tier.zone, kNode), free_bytes - returned);
    buddy_release(0);
    // Whole frames go at a time: the rest is what is not looked for in.
    ASSERT_TRUE(runs_.allocate(*tier.zone, kNode, kRest / kGranuleBytes));
    ASSERT_TRUE(runs_.allocate(*tier.zone, kNode, 1));
    runs_.free(0);
    // What was busy is not taken before it was idle for two windows of trade.
    for (int i = 0; i < 3; ++i) EXPECT_EQ(tier.reclaim(kEverything), 0U);
    runs_.free(0);
    EXPECT_GT(tier.reclaim(kEverything), 0U);
    runs_.check();
  }
}

TEST_F(Buddy, GrowthOfOneZoneIsTradedForFreeMemoryOfTheOther) {
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(runs_.allocate(g_medium_zone, kNode, 16));
  runs_.free_all();
  set_reclaimer(Reclaimer::kMediumFrames, buddy_reclaim_medium);
  for (int i = 0; i < 2; ++i) buddy_reclaim_medium(SurplusConstants::kTradeWindowBytes);
  const size_t free_bytes = Runs::free_dirty_bytes(g_medium_zone, kNode);
  ASSERT_TRUE(runs_.allocate(g_small_zone, kNode, 32));
  ASSERT_TRUE(runs_.allocate(g_small_zone, kNode, 32));
  EXPECT_LE(Runs::free_dirty_bytes(g_medium_zone, kNode), free_bytes - kFrameBytes);
  const size_t left_bytes = Runs::free_dirty_bytes(g_medium_zone, kNode);
  runs_.free(0);
  ASSERT_TRUE(runs_.allocate(g_small_zone, kNode, 1));
  EXPECT_EQ(Runs::free_dirty_bytes(g_medium_zone, kNode), left_bytes) << "nothing grew";
  set_reclaimer(Reclaimer::kMediumFrames, nullptr);
}

TEST_F(Buddy, WhatComesAndGoesIsNotTraded) {
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(runs_.allocate(g_medium_zone, kNode, 16));
  for (int i = 0; i < 4; ++i) buddy_reclaim_medium(SurplusConstants::kTradeWindowBytes);
  for (int turn = 0; turn < 8; ++turn) {
    runs_.free_all();
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(runs_.allocate(g_medium_zone, kNode, 16));
  }
  runs_.free_all();
  EXPECT_EQ(buddy_reclaim_medium(kFrameBytes), 0U);
}

TEST_F(Buddy, LeastFreeBytesSinceTheLastCall) {
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(runs_.allocate(g_medium_zone, kNode, 16));
  runs_.free_all();
  const size_t free_bytes = buddy_free_bytes(ZoneKind::kMedium);
  EXPECT_EQ(free_bytes, Runs::free_dirty_bytes(g_medium_zone, kNode));
  buddy_least_free_bytes(ZoneKind::kMedium);
  EXPECT_EQ(buddy_least_free_bytes(ZoneKind::kMedium), free_bytes) << "nothing happened";
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(runs_.allocate(g_medium_zone, kNode, 16));
  runs_.free_all();
  EXPECT_EQ(buddy_least_free_bytes(ZoneKind::kMedium), free_bytes - 3 * kMiB);
  EXPECT_EQ(buddy_least_free_bytes(ZoneKind::kMedium), free_bytes) << "what was is forgotten";
  // Of one zone, whatever it is.
  EXPECT_GE(buddy_release_zone(ZoneKind::kMedium, kMiB), free_bytes - kMiB - kFrameBytes);
  EXPECT_LE(buddy_free_bytes(ZoneKind::kMedium), kMiB + kFrameBytes);
  runs_.check();
}

TEST_F(Buddy, NothingGoesBackWhileAllMayStay) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(runs_.allocate(g_medium_zone, kNode, 16));
  buddy_vm().fail_nothing();
  runs_.free_all();
  EXPECT_EQ(buddy_vm().calls(VmCall::kUnmap), 0U);
  EXPECT_EQ(buddy_vm().calls(VmCall::kDecommit), 0U);
  EXPECT_EQ(buddy_release(kEverything), 0U);
}

TEST_F(Buddy, BlocksAreAlignedAndTrimmed) {
  for (size_t bytes = 1; bytes <= kBuddyBytesMax; bytes = bytes * 3 / 2 + 1) {
    for (size_t align_bytes = 1; align_bytes <= kBuddyBytesMax; align_bytes *= 2) {
      ASSERT_TRUE(runs_.allocate_block(kNode, bytes, align_bytes));
      EXPECT_EQ(runs_.all().back().bytes(), round_up(bytes, kGranuleBytes));
    }
    runs_.check();
    runs_.free_all();
  }
}

TEST_F(Buddy, BlockGrowsOnlyOverFreeGranules) {
  ASSERT_TRUE(runs_.allocate_block(kNode, kGranuleBytes, kMiB));
  ASSERT_TRUE(runs_.resize(0, kMiB));
  EXPECT_FALSE(runs_.resize(0, 2 * kMiB + 1)) << "over the end of the frame";
  ASSERT_TRUE(runs_.resize(0, 100));
  ASSERT_TRUE(runs_.allocate_block(kNode, kGranuleBytes, 1));
  EXPECT_FALSE(runs_.resize(0, 2 * kGranuleBytes)) << "the neighbour is there";
  runs_.free(1);
  EXPECT_TRUE(runs_.resize(0, 2 * kGranuleBytes));
  runs_.check();
}

TEST_F(Buddy, NodesDoNotShareFrames) {
  ASSERT_TRUE(runs_.allocate(g_medium_zone, NodeId{0}, 1));
  ASSERT_TRUE(runs_.allocate(g_medium_zone, NodeId{1}, 1));
  EXPECT_NE(runs_.all()[0].frame(), runs_.all()[1].frame());
  EXPECT_EQ(frame_record(g_medium_zone, runs_.all()[1].frame())->node, NodeId{1});
}

TEST_F(Buddy, Threads) {
  constexpr unsigned kThreads = 4;
  std::vector<uint64_t> torn(kThreads);
  std::vector<std::thread> threads;
  buddy_set_retain(2 * kMiB);
  for (unsigned t = 0; t < kThreads; ++t) {
    threads.emplace_back([&torn, t] {
      std::mt19937 random(t);
      std::vector<uint64_t*> live;
      for (int step = 0; step < 2000; ++step) {
        if (live.size() > random() % 8) {
          torn[t] += *live.back() != t + 1;
          buddy_free(g_medium_zone, live.back());
          live.pop_back();
          continue;
        }
        bool zeroed = false;
        auto* run = static_cast<uint64_t*>(
            buddy_allocate(g_medium_zone, NodeId{0}, 1 + random() % 8, &zeroed));
        if (run == nullptr) continue;
        torn[t] += zeroed && *run != 0;
        *run = t + 1;
        live.push_back(run);
      }
      for (uint64_t* run : live) {
        torn[t] += *run != t + 1;
        buddy_free(g_medium_zone, run);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const uint64_t count : torn) EXPECT_EQ(count, 0U);
  runs_.check();
}

TEST_F(Buddy, ForkLeavesItUsable) {
  for (const bool in_child : {false, true}) {
    buddy_lock_for_fork();
    buddy_unlock_after_fork(in_child);
    ASSERT_TRUE(runs_.allocate(g_small_zone, kNode, 1));
  }
}

using BuddyDeathTest = Buddy;

TEST_F(BuddyDeathTest, FreeOfWhatIsNoRun) {
  bool zeroed = false;
  void* run = take(2, &zeroed);
  EXPECT_EXIT(buddy_free(g_small_zone, static_cast<char*>(run) + kGranuleBytes),
              testing::KilledBySignal(SIGABRT), "");
  buddy_free(g_small_zone, run);
  EXPECT_EXIT(buddy_free(g_small_zone, run), testing::KilledBySignal(SIGABRT), "");
}

}  // namespace
}  // namespace elasticpool::test
