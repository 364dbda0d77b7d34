// slab/quarters.h: four slabs a granule, which goes when none of them is used; pages that go back.
#include "slab/quarters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <random>
#include <set>
#include <vector>

#include "base/held_memory.h"
#include "slabs.h"

namespace elasticpool::test {
namespace {

constexpr unsigned kSeed = 511;
constexpr size_t kPerGranule = kGranuleBytes / kQuarterBytes;
const size_t kQuarterClasses = index_of(class_of_size(kQuarterBlockBytesMax)) + 1;
const ClassId kSmall = class_of_size(200);
const ClassId kOther = class_of_size(500);

uintptr_t granule_of(const Slab* slab) { return round_down(slab->start, kGranuleBytes); }

std::vector<Slab*> create(ClassId id, size_t count, NodeId node = kTestNode) {
  std::vector<Slab*> slabs;
  for (size_t i = 0; i < count; ++i) {
    slabs.push_back(slab_create(id, node));
    EXPECT_NE(slabs.back(), nullptr);
  }
  return slabs;
}

void write_all(const Slab* slab, int byte) {
  memset(reinterpret_cast<void*>(slab->start), byte, kQuarterBytes);
}

class Quarters : public testing::Test {
 protected:
  void SetUp() override {
    slab_vm().fail_nothing();
    slab_vm().decommitted.clear();
    EXPECT_EQ(quarter_stats().free_bytes, 0U);
    buddy_release(0);
    held_before_bytes_ = held_bytes();
  }
  void TearDown() override {
    slab_vm().fail_nothing();
    EXPECT_EQ(quarter_stats().free_bytes, 0U);
    EXPECT_EQ(quarter_stats().resident_bytes, 0U);
    EXPECT_EQ(granules(), 0U);
    buddy_release(0);
    EXPECT_EQ(held_bytes(), held_before_bytes_);
  }
  static uint64_t granules() {
    return buddy_stats(ZoneKind::kTiny).used_granules + buddy_stats(ZoneKind::kSmall).used_granules;
  }

  uint64_t held_before_bytes_ = 0;
};

TEST_F(Quarters, FourSlabsOfAnyClassesShareAGranule) {
  std::vector<Slab*> slabs;
  for (const size_t bytes : std::initializer_list<size_t>{80, 200, 320, 512}) {
    slabs.push_back(slab_create(class_of_size(bytes), kTestNode));
    ASSERT_NE(slabs.back(), nullptr);
    EXPECT_EQ(granule_of(slabs.back()), granule_of(slabs.front()));
  }
  EXPECT_EQ(granules(), 1U);
  EXPECT_EQ(quarter_stats().free_bytes, 0U);
  Slab* fifth = slab_create(kSmall, kTestNode);
  EXPECT_NE(granule_of(fifth), granule_of(slabs.front()));
  EXPECT_EQ(granules(), 2U);
  EXPECT_EQ(quarter_stats().free_bytes, 3 * kQuarterBytes);
  std::set<uintptr_t> starts;
  for (const Slab* slab : slabs) starts.insert(slab->start);
  EXPECT_EQ(starts.size(), kPerGranule);
  for (Slab* slab : slabs) slab_destroy(slab);
  slab_destroy(fifth);
}

// Granules of the same zone, some cut and some not, and each the other by and by.
TEST_F(Quarters, ASlabOfLargerBlocksHasAGranuleForItself) {
  const ClassId large = class_of_size(kSmallBytesMax);
  for (int round = 0; round < 3; ++round) {
    std::vector<Slab*> slabs;
    for (size_t i = 0; i < 2 * kGranulesPerFrame; ++i) {
      slabs.push_back(
          slab_create((i + static_cast<size_t>(round)) % 2 == 0 ? large : kSmall, kTestNode));
      ASSERT_NE(slabs.back(), nullptr);
    }
    EXPECT_EQ(granules(), kGranulesPerFrame + kGranulesPerFrame / kPerGranule);
    for (const Slab* slab : slabs) {
      const size_t bytes = size_class(slab->class_id).slab_bytes;
      EXPECT_EQ(bytes, slab->class_id == large ? kGranuleBytes : kQuarterBytes);
      for (size_t offset = 0; offset < bytes; offset += 512) {
        ASSERT_EQ(slab_of(g_small_zone, block_at(slab, 0) + offset), slab);
      }
    }
    for (Slab* slab : slabs) slab_destroy(slab);
  }
}

TEST_F(Quarters, ZonesShareNone) {
  Slab* tiny = slab_create(class_of_size(32), kTestNode);
  Slab* small = slab_create(kSmall, kTestNode);
  EXPECT_TRUE(g_tiny_zone.holds(block_at(tiny, 0)));
  EXPECT_TRUE(g_small_zone.holds(block_at(small, 0)));
  EXPECT_EQ(granules(), 2U);
  slab_destroy(tiny);
  slab_destroy(small);
}

// In whatever order: the granule goes with the last, and not before.
TEST_F(Quarters, AGranuleGoesBackWithItsLastSlab) {
  size_t order[kPerGranule] = {0, 1, 2, 3};
  do {
    const std::vector<Slab*> slabs = create(kSmall, kPerGranule);
    for (size_t i = 0; i < kPerGranule; ++i) {
      EXPECT_EQ(granules(), 1U);
      EXPECT_EQ(quarter_stats().free_bytes, i * kQuarterBytes);
      slab_destroy(slabs[order[i]]);
    }
    EXPECT_EQ(granules(), 0U);
    EXPECT_EQ(quarter_stats().free_bytes, 0U);
  } while (std::next_permutation(order, order + kPerGranule));
}

TEST_F(Quarters, TheLastThatCameBackIsTakenFirstByAnyClass) {
  const std::vector<Slab*> slabs = create(kSmall, 2 * kPerGranule);
  const uintptr_t older = slabs[1]->start;
  const uintptr_t newer = slabs[6]->start;
  slab_destroy(slabs[1]);
  slab_destroy(slabs[6]);
  Slab* first = slab_create(kOther, kTestNode);
  Slab* second = slab_create(kOther, kTestNode);
  EXPECT_EQ(first->start, newer);
  EXPECT_EQ(second->start, older);
  EXPECT_EQ(first->blocks, size_class(kOther).blocks_per_slab);
  EXPECT_EQ(granules(), 2U);
  slab_destroy(first);
  slab_destroy(second);
  for (const size_t i : std::initializer_list<size_t>{0, 2, 3, 4, 5, 7}) slab_destroy(slabs[i]);
}

TEST_F(Quarters, EachNodeHasItsOwn) {
  Slab* here = slab_create(kSmall, NodeId{0});
  Slab* there = slab_create(kSmall, NodeId{1});
  EXPECT_NE(granule_of(here), granule_of(there));
  EXPECT_EQ(there->node, NodeId{1});
  EXPECT_EQ(quarter_node_stats(NodeId{0}).free_bytes, 3 * kQuarterBytes);
  EXPECT_EQ(quarter_node_stats(NodeId{1}).free_bytes, 3 * kQuarterBytes);
  slab_destroy(there);
  EXPECT_EQ(quarter_node_stats(NodeId{1}).free_bytes, 0U);
  slab_destroy(here);
  // buddy_release() looks for frames of nodes that the machine has.
  held_before_bytes_ += kGranuleBytes;
}

TEST_F(Quarters, PagesOfFreeOnesGoBackAndNoOthers) {
  const std::vector<Slab*> slabs = create(kSmall, kPerGranule);
  for (const Slab* slab : slabs) write_all(slab, 0x5a);
  const uintptr_t freed = slabs[2]->start;
  slab_destroy(slabs[2]);
  const uint64_t held = held_bytes();
  EXPECT_EQ(quarters_release(), kQuarterBytes);
  EXPECT_EQ(held_bytes(), held - kQuarterBytes);
  EXPECT_EQ(quarter_stats().resident_bytes, 0U);
  EXPECT_EQ(quarter_stats().free_bytes, kQuarterBytes);
  EXPECT_EQ(quarters_release(), 0U) << "it went already";
  for (const size_t i : std::initializer_list<size_t>{0, 1, 3}) {
    const char* bytes = reinterpret_cast<const char*>(slabs[i]->start);
    EXPECT_EQ(bytes[0], 0x5a);
    EXPECT_EQ(memcmp(bytes, bytes + 1, kQuarterBytes - 1), 0);
  }
  Slab* again = slab_create(kOther, kTestNode);
  EXPECT_EQ(again->start, freed);
  EXPECT_EQ(*reinterpret_cast<const char*>(again->start), 0);
  EXPECT_EQ(held_bytes(), held) << "who takes it will touch it";
  slab_destroy(again);
  for (const size_t i : std::initializer_list<size_t>{0, 1, 3}) slab_destroy(slabs[i]);
}

// One that was purged and goes back with its granule counts as held again: the frame holds it.
TEST_F(Quarters, APurgedOneIsHeldAgainWithItsGranule) {
  const std::vector<Slab*> slabs = create(kSmall, kPerGranule);
  const uint64_t held = held_bytes();
  for (const size_t i : std::initializer_list<size_t>{0, 1, 2}) slab_destroy(slabs[i]);
  EXPECT_EQ(quarters_release(), 3 * kQuarterBytes);
  EXPECT_EQ(held_bytes(), held - 3 * kQuarterBytes);
  slab_destroy(slabs[3]);
  EXPECT_EQ(held_bytes(), held);
}

TEST_F(Quarters, OnlySettledOnesGoBack) {
  // More than are purged under one lock.
  constexpr size_t kGranules = 40;
  const std::vector<Slab*> slabs = create(kSmall, kGranules * kPerGranule);
  for (size_t i = 0; i < slabs.size(); i += kPerGranule) slab_destroy(slabs[i]);
  EXPECT_EQ(quarters_release_settled(), 0U) << "all have just come";
  slab_destroy(slabs[1]);
  EXPECT_EQ(quarters_release_settled(), kGranules * kQuarterBytes);
  EXPECT_EQ(quarters_release_settled(), kQuarterBytes) << "the one that came between";
  EXPECT_EQ(quarters_release_settled(), 0U);
  // Those with pages serve first.
  slab_destroy(slabs[2]);
  Slab* warm = slab_create(kSmall, kTestNode);
  EXPECT_EQ(quarter_stats().resident_bytes, 0U);
  slab_destroy(warm);
  for (size_t i = 3; i < slabs.size(); ++i) {
    if (i % kPerGranule != 0) slab_destroy(slabs[i]);
  }
}

TEST_F(Quarters, ARefusedPurgeLosesNothing) {
  const std::vector<Slab*> slabs = create(kSmall, kPerGranule);
  slab_destroy(slabs[0]);
  const uint64_t held = held_bytes();
  slab_vm().fail(VmCall::kDecommit, 1);
  EXPECT_EQ(quarters_release(), 0U);
  EXPECT_EQ(held_bytes(), held);
  slab_vm().fail_nothing();
  Slab* again = slab_create(kSmall, kTestNode);
  EXPECT_EQ(granule_of(again), granule_of(slabs[1]));
  slab_destroy(again);
  for (const size_t i : std::initializer_list<size_t>{1, 2, 3}) slab_destroy(slabs[i]);
}

// Slabs come and go in any order, pages go back now and then, against a set of those that live.
TEST_F(Quarters, Model) {
  std::mt19937 random(kSeed);
  std::vector<Slab*> live;
  uint64_t returned_bytes = quarter_stats().returned_bytes;
  for (int step = 0; step < 20000; ++step) {
    const bool grows = random() % 1000 < (step / 4000 % 2 == 0 ? 600 : 400);
    if (grows || live.empty()) {
      live.push_back(slab_create(class_at(random() % kQuarterClasses), kTestNode));
      ASSERT_NE(live.back(), nullptr);
      write_all(live.back(), step);
    } else {
      std::swap(live[random() % live.size()], live.back());
      slab_destroy(live.back());
      live.pop_back();
    }
    if (random() % 100 == 0) returned_bytes += quarters_release_settled();
    if (random() % 1000 == 0) returned_bytes += quarters_release();
    if (step % 100 != 0) continue;
    std::set<uintptr_t> starts;
    std::set<uintptr_t> held;
    for (const Slab* slab : live) {
      starts.insert(slab->start);
      held.insert(granule_of(slab));
    }
    ASSERT_EQ(starts.size(), live.size()) << "two at one place, seed " << kSeed;
    ASSERT_EQ(granules(), held.size()) << "seed " << kSeed;
    const QuarterStats stats = quarter_stats();
    ASSERT_EQ(stats.free_bytes, (held.size() * kPerGranule - live.size()) * kQuarterBytes);
    ASSERT_LE(stats.resident_bytes, stats.free_bytes);
    ASSERT_EQ(stats.returned_bytes, returned_bytes);
  }
  for (Slab* slab : live) slab_destroy(slab);
}

}  // namespace
}  // namespace elasticpool::test
