// large/extents.h over the kernel's memory, one thread: what is served from where, what goes back,
// how blocks grow. The script only counts the system calls and keeps account.
#include "large/extents.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <random>

#include "base/reclaimer.h"
#include "base/surplus_gauge.h"
#include "blocks.h"
#include "scripted_vm.h"
#include "seed.h"

namespace elasticpool::test {
namespace {

constexpr size_t kPlentyBytes = 4 * kGiB;

uint64_t resident_bytes(const void* start, size_t bytes) {
  std::vector<unsigned char> pages(bytes / page_bytes());
  if (mincore(const_cast<void*>(start), bytes, pages.data()) != 0) return UINT64_MAX;
  uint64_t count = 0;
  for (const unsigned char page : pages) count += page & 1 ? page_bytes() : 0;
  return count;
}

class Extents : public testing::Test {
 protected:
  void SetUp() override {
    use_test_zones();
    large_boot(FitPolicy::kBest, kPlentyBytes);
    forget_all();
    const LargeStats stats = large_stats();
    EXPECT_EQ(stats.mapped_bytes, 0U);
    EXPECT_EQ(stats.live_extents, 0U);
  }

  void TearDown() override {
    blocks.free_all();
    EXPECT_EQ(blocks.failures(), 0U);
    EXPECT_EQ(ScriptedVm::instance().violations(), 0U);
    const LargeStats stats = large_stats();
    EXPECT_EQ(stats.live_bytes, 0U);
    EXPECT_EQ(stats.requests, stats.frees);
    EXPECT_EQ(stats.mapped_bytes, ScriptedVm::instance().mapped_bytes());
    EXPECT_EQ(stats.free_resident_bytes + stats.free_clean_bytes, stats.mapped_bytes);
    EXPECT_EQ(stats.mapped_bytes + stats.hole_bytes + stats.lost_bytes,
              g_large_zone.published_steps() * kGranuleBytes);
    set_vm(kernel_vm());
  }

  // A system that has no more to give makes all that is free a hole.
  static void forget_all() {
    Vm refusing = kernel_vm();
    refusing.map_at = [](uintptr_t, size_t) { return MapStatus::kNoMemory; };
    refusing.map_anywhere = [](size_t) -> void* { return nullptr; };
    set_vm(refusing);
    bool zeroed = false;
    EXPECT_EQ(large_allocate(g_large_zone.frames_max * kFrameBytes, 1, &zeroed), nullptr);
    ScriptedVm::instance().forget();
    ScriptedVm::instance().install();
  }

  Blocks blocks;
};

TEST_F(Extents, OnlyTheStartOfALiveExtentIsOne) {
  bool zeroed = false;
  auto* p = static_cast<char*>(large_allocate(3 * kMiB + 1, 1, &zeroed));
  ASSERT_NE(p, nullptr);
  char* dead = static_cast<char*>(large_allocate(2 * kMiB, 1, &zeroed));
  EXPECT_TRUE(large_free(dead));
  int local = 0;
  char* const none[] = {nullptr,
                        dead,
                        p + 1,
                        p + 16,
                        p + page_bytes(),
                        p + kGranuleBytes,
                        p + 2 * kMiB,
                        p + 64 * kMiB,
                        p - kGranuleBytes,
                        reinterpret_cast<char*>(&local),
                        reinterpret_cast<char*>(g_large_zone.base - kGranuleBytes),
                        reinterpret_cast<char*>(~uintptr_t{0} - kGranuleBytes + 1)};
  for (char* q : none) {
    EXPECT_EQ(large_usable_bytes(q), 0U) << static_cast<void*>(q);
    EXPECT_FALSE(large_free(q)) << static_cast<void*>(q);
    EXPECT_EQ(large_reallocate(q, 4 * kMiB), nullptr) << static_cast<void*>(q);
  }
  EXPECT_EQ(large_usable_bytes(p), round_up(3 * kMiB + 1, page_bytes()));
  EXPECT_TRUE(large_free(p));
  EXPECT_EQ(large_usable_bytes(p), 0U);
  EXPECT_FALSE(large_free(p));
}

TEST_F(Extents, TheImpossibleIsRefusedAndCostsNothing) {
  bool zeroed = false;
  blocks.free(blocks.allocate(8 * kMiB));
  const int a = blocks.allocate(2 * kMiB);
  const uint64_t calls = ScriptedVm::instance().calls();
  const size_t zone_bytes = g_large_zone.frames_max * kFrameBytes;
  for (const size_t bytes : {size_t{0}, SIZE_MAX, SIZE_MAX - page_bytes(), zone_bytes + 1}) {
    EXPECT_FALSE(large_can_ever_hold(bytes, 1)) << bytes;
    EXPECT_EQ(large_allocate(bytes, 1, &zeroed), nullptr) << bytes;
    EXPECT_EQ(large_reallocate(blocks[a].data, bytes), nullptr) << bytes;
  }
  for (size_t align_bytes = 512 * kGiB; align_bytes != 0; align_bytes *= 2) {
    EXPECT_FALSE(large_can_ever_hold(2 * kMiB, align_bytes)) << align_bytes;
    EXPECT_EQ(large_allocate(2 * kMiB, align_bytes, &zeroed), nullptr) << align_bytes;
  }
  EXPECT_EQ(ScriptedVm::instance().calls(), calls);
  EXPECT_EQ(large_stats().free_resident_bytes, 6 * kMiB);
  EXPECT_TRUE(large_can_ever_hold(1, 1));
  EXPECT_TRUE(large_can_ever_hold(100 * kMiB, kGiB));
}

TEST_F(Extents, SizesAndAlignments) {
  for (const size_t align : {16UL, 64 * kKiB, 128 * kKiB, 2 * kMiB, 32 * kMiB, kGiB}) {
    for (const size_t bytes : {kMiB + 1, 2 * kMiB, 3 * kMiB - 1, 17 * kMiB + 4097}) {
      EXPECT_GE(blocks.allocate(bytes, align), 0);
    }
  }
  blocks.verify_all();
  bool zeroed = false;
  void* big = large_allocate(kGiB + 1, 1, &zeroed);
  ASSERT_NE(big, nullptr);
  EXPECT_TRUE(zeroed);
  EXPECT_TRUE(large_free(big));
}

TEST_F(Extents, NothingBehindTheRequestIsTouched) {
  const int a = blocks.allocate(kMiB + 5);
  EXPECT_EQ(resident_bytes(blocks[a].data + round_up(kMiB + 5, page_bytes()),
                           kGranuleBytes - page_bytes()),
            0U);
}

TEST_F(Extents, AnAllocateFreePairReusesWithoutASystemCall) {
  blocks.free(blocks.allocate(3 * kMiB));
  const char* first = blocks[0].data;
  EXPECT_EQ(first, nullptr);
  bool zeroed = false;
  void* warm = large_allocate(3 * kMiB, 1, &zeroed);
  EXPECT_FALSE(zeroed);
  large_free(warm);
  const LargeStats before = large_stats();
  const uint64_t calls = ScriptedVm::instance().calls();
  for (int i = 0; i < 1000; ++i) {
    void* p = large_allocate(3 * kMiB, 1, &zeroed);
    ASSERT_EQ(p, warm);
    ASSERT_FALSE(zeroed);
    ASSERT_TRUE(large_free(p));
  }
  EXPECT_EQ(ScriptedVm::instance().calls(), calls);
  EXPECT_EQ(large_stats().reused, before.reused + 1000);
}

// The lock is let go while an extent is mapped, and what others reuse meanwhile is theirs.
TEST_F(Extents, OthersGiveBackForWhatIsNew) {
  static uint64_t asked_bytes = 0;
  static Vm scripted;
  scripted = vm();
  blocks.free(blocks.allocate(2 * kMiB));
  set_reclaimer(Reclaimer::kSmallFrames, [](size_t wanted_bytes) {
    asked_bytes += wanted_bytes;
    return wanted_bytes;
  });
  Vm busy = scripted;
  busy.map_at = [](uintptr_t at, size_t bytes) {
    if (at >= g_large_zone.base) {
      bool zeroed = false;
      EXPECT_TRUE(large_free(large_allocate(2 * kMiB, 1, &zeroed)));
    }
    return scripted.map_at(at, bytes);
  };
  set_vm(busy);
  const uint64_t reused = large_stats().reused;
  EXPECT_GE(blocks.allocate(16 * kMiB), 0);
  EXPECT_EQ(large_stats().reused, reused + 1);
  EXPECT_EQ(asked_bytes, 16 * kMiB);
  set_vm(scripted);
  blocks.allocate(2 * kMiB);
  EXPECT_EQ(asked_bytes, 16 * kMiB) << "for what is reused nobody is asked";
  set_reclaimer(Reclaimer::kSmallFrames, nullptr);
}

TEST_F(Extents, OthersGetWhatIsIdleAndNotWhatComesAndGoes) {
  constexpr size_t kStep = SurplusConstants::kTradeWindowBytes;
  bool zeroed = false;
  for (int i = 0; i < 3; ++i) large_reclaim(kStep);  // what earlier tests took is long ago
  blocks.free(blocks.allocate(32 * kMiB));
  EXPECT_EQ(large_reclaim(4 * kMiB), 4 * kMiB) << "it was taken anew, and is idle";
  void* p = large_allocate(20 * kMiB, 1, &zeroed);
  EXPECT_TRUE(large_free(p));
  const uint64_t free_bytes = large_stats().free_resident_bytes;
  ASSERT_GE(free_bytes, 20 * kMiB);
  EXPECT_EQ(large_reclaim(free_bytes), free_bytes - 20 * kMiB);
  EXPECT_EQ(large_stats().free_resident_bytes, 20 * kMiB);
  for (int i = 0; i < 8; ++i) large_reclaim(kStep);
  EXPECT_EQ(large_stats().free_resident_bytes, 0U) << "idle for whole windows";
}

TEST_F(Extents, NeighboursBecomeOne) {
  // Four in a row, freed in an order that joins below, above, and both.
  const int all[] = {blocks.allocate(2 * kMiB), blocks.allocate(2 * kMiB),
                     blocks.allocate(2 * kMiB), blocks.allocate(2 * kMiB)};
  char* start = blocks[all[0]].data;
  for (int i = 1; i < 4; ++i) ASSERT_EQ(blocks[all[i]].data, blocks[all[i - 1]].data + 2 * kMiB);
  for (const int i : {0, 2, 3, 1}) blocks.free(all[i]);
  EXPECT_EQ(blocks[blocks.allocate(8 * kMiB)].data, start);
}

TEST_F(Extents, FreeMemoryThatNobodyWantsLosesItsPages) {
  constexpr size_t kRetain = 6 * kMiB;
  constexpr size_t kLong = 40 * kMiB;
  large_boot(FitPolicy::kBest, kRetain);
  bool zeroed = false;
  auto* p = static_cast<char*>(large_allocate(kLong, 1, &zeroed));
  ASSERT_NE(p, nullptr);
  std::memset(p, 1, kLong);
  EXPECT_EQ(resident_bytes(p, kLong), kLong);
  const uint64_t returned = large_stats().returned_bytes;
  EXPECT_TRUE(large_free(p));
  const size_t resident = resident_bytes(p, kLong);
  EXPECT_GE(resident, kRetain);
  // What stays, a window (base/surplus_gauge.h), and a part of a frame.
  EXPECT_LE(resident, kRetain + 2 * kRetain / SurplusConstants::kLeastShare + kFrameBytes);
  const LargeStats stats = large_stats();
  EXPECT_EQ(stats.free_resident_bytes, resident);
  EXPECT_EQ(stats.free_clean_bytes, kLong - resident);
  EXPECT_EQ(stats.returned_bytes, returned + kLong - resident);
  // The warm part and the clean one behind it serve the same request again, once the warm part is
  // half of it.
  EXPECT_EQ(large_allocate(resident * 2, 1, &zeroed), p);
  EXPECT_FALSE(zeroed);
  EXPECT_TRUE(large_free(p));
}

TEST_F(Extents, WarmPagesServeWithTheCleanOnesInFrontOfThem) {
  bool zeroed = false;
  auto* p = static_cast<char*>(large_allocate(12 * kMiB, 1, &zeroed));
  const int behind = blocks.allocate(2 * kMiB);
  ASSERT_EQ(blocks[behind].data, p + 12 * kMiB);
  // The first half of it goes back, the second half comes free afterwards.
  auto* half = static_cast<char*>(large_reallocate(p, 6 * kMiB));
  ASSERT_EQ(half, p);
  auto* second = static_cast<char*>(large_allocate(6 * kMiB, 1, &zeroed));
  ASSERT_EQ(second, p + 6 * kMiB);
  std::memset(second, 1, 6 * kMiB);
  EXPECT_TRUE(large_free(p));
  large_release(0);
  EXPECT_TRUE(large_free(second));
  const LargeStats before = large_stats();
  ASSERT_EQ(before.free_resident_bytes, 6 * kMiB);
  // More than is warm, and more in front of it than is missing.
  EXPECT_EQ(large_allocate(10 * kMiB, 1, &zeroed), p + 2 * kMiB);
  EXPECT_FALSE(zeroed);
  EXPECT_EQ(resident_bytes(p + 2 * kMiB, 10 * kMiB), 6 * kMiB);
  const LargeStats after = large_stats();
  EXPECT_EQ(after.free_resident_bytes, 0U);
  EXPECT_EQ(after.free_clean_bytes, before.free_clean_bytes - 4 * kMiB);
  EXPECT_EQ(after.regretted_bytes, before.regretted_bytes + 4 * kMiB);
  EXPECT_TRUE(large_free(p + 2 * kMiB));
}

TEST_F(Extents, ReleaseKeepsWhatItIsTold) {
  bool zeroed = false;
  char* p[3];
  for (char*& q : p) {
    q = static_cast<char*>(large_allocate(6 * kMiB, 1, &zeroed));
    std::memset(q, 1, 6 * kMiB);
  }
  EXPECT_TRUE(large_free(p[0]));
  EXPECT_TRUE(large_free(p[2]));
  EXPECT_EQ(large_release(7 * kMiB), 6 * kMiB);
  EXPECT_EQ(large_stats().free_resident_bytes, 6 * kMiB);
  EXPECT_EQ(large_release(7 * kMiB), 0U);
  EXPECT_EQ(large_release(0), 6 * kMiB);
  EXPECT_EQ(resident_bytes(p[0], 6 * kMiB) + resident_bytes(p[2], 6 * kMiB), 0U);
  EXPECT_EQ(resident_bytes(p[1], 6 * kMiB), 6 * kMiB);
  EXPECT_EQ(large_allocate(6 * kMiB, 1, &zeroed), p[0]);
  EXPECT_TRUE(zeroed);
  EXPECT_EQ(p[0][6 * kMiB - 1], 0);
  EXPECT_TRUE(large_free(p[0]));
  EXPECT_TRUE(large_free(p[1]));
}

TEST_F(Extents, PoliciesChooseAmongFreeRanges) {
  // Free ranges of 8, 4 and 16 MiB, with live extents between them.
  const size_t sizes[] = {8 * kMiB, 4 * kMiB, 16 * kMiB};
  int between[3];
  int gaps[3];
  for (int i = 0; i < 3; ++i) {
    gaps[i] = blocks.allocate(sizes[i]);
    between[i] = blocks.allocate(2 * kMiB);
  }
  char* starts[3];
  for (int i = 0; i < 3; ++i) starts[i] = blocks[gaps[i]].data;
  for (const int gap : gaps) blocks.free(gap);
  const std::pair<FitPolicy, char*> expected[] = {{FitPolicy::kBest, starts[1]},
                                                  {FitPolicy::kFirst, starts[0]},
                                                  {FitPolicy::kWorst, starts[2]}};
  for (const auto& [policy, start] : expected) {
    large_boot(policy, kPlentyBytes);
    const int p = blocks.allocate(3 * kMiB);
    EXPECT_EQ(blocks[p].data, start);
    blocks.free(p);
  }
  for (const int i : between) EXPECT_GE(i, 0);
}

TEST_F(Extents, GrowthMovesPagesNotBytes) {
  const LargeStats before = large_stats();
  const int a = blocks.allocate(kMiB + kMiB / 4);
  for (size_t bytes = kMiB + kMiB / 2; bytes < 512 * kMiB; bytes += bytes / 5) {
    // Always somebody in the way behind the block, unless it has room there.
    blocks.allocate(1200 * kKiB);
    ASSERT_TRUE(blocks.resize(a, bytes + 123));
  }
  ASSERT_TRUE(blocks.resize(a, 512 * kMiB));
  const LargeStats after = large_stats();
  EXPECT_GT(after.remaps, before.remaps);
  EXPECT_EQ(after.copies, before.copies);
  EXPECT_LE(blocks.moved(), 10U);
  blocks.verify_all();
  const char* start = blocks[a].data;
  for (size_t bytes = 400 * kMiB; bytes > kMiB; bytes /= 2) ASSERT_TRUE(blocks.resize(a, bytes));
  EXPECT_EQ(blocks[a].data, start);
  EXPECT_GE(large_stats().free_resident_bytes, 500 * kMiB);
  blocks.verify_all();
}

TEST_F(Extents, SmallStepsMoveRarely) {
  const uint64_t copies = large_stats().copies;
  const int a = blocks.allocate(kMiB + 4096);
  const int b = blocks.allocate(kMiB + 4096);
  for (size_t bytes = kMiB + 8192; bytes < 24 * kMiB; bytes += 40 * kKiB) {
    ASSERT_TRUE(blocks.resize(a, bytes));
    ASSERT_TRUE(blocks.resize(b, bytes));
  }
  EXPECT_LE(blocks.moved(), 12U);
  EXPECT_EQ(large_stats().copies, copies);
}

TEST_F(Extents, GrowsOverFreeNeighboursOfEveryState) {
  const int a = blocks.allocate(2 * kMiB);
  const int clean = blocks.allocate(2 * kMiB);
  const int resident = blocks.allocate(2 * kMiB);
  const int guard = blocks.allocate(2 * kMiB);
  char* start = blocks[a].data;
  ASSERT_EQ(blocks[guard].data, start + 6 * kMiB);
  blocks.free(clean);
  large_release(0);
  blocks.free(resident);
  ASSERT_TRUE(blocks.resize(a, 6 * kMiB));
  EXPECT_EQ(blocks[a].data, start);
  EXPECT_EQ(large_stats().mapped_bytes, 8 * kMiB);
}

TEST_F(Extents, TheLastExtentGrowsIntoNewAddresses) {
  const auto claimed_end = [] {
    return g_large_zone.base + g_large_zone.published_steps() * kGranuleBytes;
  };
  std::vector<void*> served;
  bool zeroed = false;
  do {
    served.push_back(large_allocate(2 * kMiB, 1, &zeroed));
    ASSERT_NE(served.back(), nullptr);
  } while (address_of(served.back()) + 2 * kMiB != claimed_end());
  const uint64_t calls = ScriptedVm::instance().calls();
  EXPECT_EQ(large_reallocate(served.back(), 60 * kMiB), served.back());
  EXPECT_LE(ScriptedVm::instance().calls(), calls + 2) << "one for the extent, one for its map";
  for (void* p : served) EXPECT_TRUE(large_free(p));
}

TEST_F(Extents, AnExtentOfSeveralMappingsStillMoves) {
  // A moved extent keeps the page offsets of its old place, so that the kernel joins it with no
  // mapping that is made behind it later.
  const int a = blocks.allocate(3 * kMiB);
  blocks.allocate(3 * kMiB);
  ASSERT_TRUE(blocks.resize(a, 6 * kMiB));
  blocks.free(a);
  large_release(4 * kMiB);
  const int b = blocks.allocate(6 * kMiB);
  const uint64_t copies = large_stats().copies;
  for (size_t bytes = 8 * kMiB; bytes < 40 * kMiB; bytes += 4 * kMiB) {
    // In the way of growing in place.
    blocks.allocate(2 * kMiB);
    ASSERT_TRUE(blocks.resize(b, bytes));
  }
  blocks.verify_all();
  EXPECT_EQ(large_stats().copies, copies + 1) << "once for all: the copy is one mapping";
}

TEST_F(Extents, CopiesWhereTheKernelWillNotMove) {
  Vm refusing = vm();
  refusing.remap = [](uintptr_t, size_t, uintptr_t, size_t) { return MapStatus::kNoMemory; };
  set_vm(refusing);
  const uint64_t copies = large_stats().copies;
  const int a = blocks.allocate(3 * kMiB);
  blocks.allocate(3 * kMiB);
  EXPECT_TRUE(blocks.resize(a, 30 * kMiB));
  EXPECT_EQ(large_stats().copies, copies + 1);
  ScriptedVm::instance().install();
}

TEST_F(Extents, StrangersInTheWayAreSteppedOver) {
  const auto claimed_end = [] {
    return g_large_zone.base + g_large_zone.published_steps() * kGranuleBytes;
  };
  blocks.allocate(2 * kMiB);
  // 100 MiB of somebody else's behind what is claimed so far.
  const uintptr_t place = claimed_end();
  void* stranger = mmap(reinterpret_cast<void*>(place), 100 * kMiB, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  ASSERT_EQ(address_of(stranger), place);
  const uint64_t lost = large_stats().lost_bytes;
  const uint64_t calls = ScriptedVm::instance().calls();
  std::vector<void*> served;
  bool zeroed = false;
  while (claimed_end() < place + 200 * kMiB) {
    served.push_back(large_allocate(4 * kMiB, 1, &zeroed));
    ASSERT_NE(served.back(), nullptr);
  }
  EXPECT_GE(large_stats().lost_bytes, lost + 100 * kMiB);
  EXPECT_LT(ScriptedVm::instance().calls(), calls + served.size() + 10) << "one by one";
  for (void* p : served) EXPECT_TRUE(large_free(p));
  EXPECT_EQ(munmap(stranger, 100 * kMiB), 0);
}

TEST_F(Extents, RandomCallsKeepContentsAndAccounts) {
  std::mt19937_64 random(chosen_seed());
  const auto below = [&](size_t bound) { return static_cast<size_t>(random() % bound); };
  const auto any_bytes = [&] { return kMiB + 1 + below(below(10) == 0 ? 40 * kMiB : 4 * kMiB); };
  constexpr size_t kSlots = 24;
  int live[kSlots];
  for (int& slot : live) slot = -1;
  for (int step = 0; step < 2000; ++step) {
    int& slot = live[below(kSlots)];
    const size_t choice = below(100);
    if (choice < 2) {
      large_boot(static_cast<FitPolicy>(below(3)), below(64) * kMiB);
    } else if (choice < 5) {
      large_release(below(32) * kMiB);
    } else if (slot < 0) {
      slot = blocks.allocate(any_bytes(), size_t{1} << below(24));
    } else if (choice < 50) {
      ASSERT_TRUE(blocks.resize(slot, any_bytes()));
    } else {
      blocks.free(slot);
      slot = -1;
    }
    ASSERT_EQ(blocks.failures() + blocks.refused(), 0U) << "step " << step;
    if (step % 250 == 0) blocks.verify_all();
  }
}

}  // namespace
}  // namespace elasticpool::test
