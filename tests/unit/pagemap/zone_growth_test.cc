// pagemap/zone.h: growth, and that a refusal at any call leaves all as it was.
#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "os/vm.h"
#include "zones.h"

namespace elasticpool::test {
namespace {

constexpr ZoneSides kSides = {{18560, 6272, 4224}};
// Frames between two growths of the tables in a zone of blocks.
constexpr size_t kTableStep = 4;

class ZoneGrowth : public testing::Test {
 protected:
  void SetUp() override {
    plan_zones_anew(fake_, kSides, test_anchor());
    tables_before_ = zone_tables_bytes();
  }
  void TearDown() override {
    fake_.fail_nothing();
    fake_.unmap_all();
  }

  size_t frame_bytes_mapped(const Zone& zone) const {
    return fake_.mapped_bytes_in(zone.base, zone.frames_max * kFrameBytes);
  }
  size_t table_bytes_mapped() const {
    return fake_.mapped_bytes() - frame_bytes_mapped(g_tiny_zone) -
           frame_bytes_mapped(g_small_zone) - frame_bytes_mapped(g_medium_zone) -
           frame_bytes_mapped(g_large_zone);
  }
  void expect_tables_counted() const {
    EXPECT_EQ(zone_tables_bytes() - tables_before_, table_bytes_mapped());
  }

  // The frame's cells and its side are there and zero; then they are not.
  static void use_tables(const Zone& zone, size_t frame) {
    const size_t cells = (kFrameBytes >> zone.shape.unit_shift) * zone.map_bytes_per_unit;
    auto* map = reinterpret_cast<uint8_t*>(zone.map + frame * cells);
    for (size_t i = 0; i < cells; ++i) ASSERT_EQ(map[i], 0) << "cell " << i << " of " << frame;
    memset(map, 0xFF, cells);
    auto* side = static_cast<uint8_t*>(zone.side_of(frame));
    for (size_t i = 0; i < zone.side_bytes_per_frame; ++i) ASSERT_EQ(side[i], 0) << i;
    memset(side, 0xFF, zone.side_bytes_per_frame);
  }

  FakeVm fake_;
  size_t tables_before_ = 0;
};

TEST_F(ZoneGrowth, FrameByFrame) {
  for (Zone* zone : {&g_tiny_zone, &g_small_zone, &g_medium_zone}) {
    for (size_t frame = 0; frame < 2 * kTableStep + 1; ++frame) {
      size_t number = SIZE_MAX;
      ASSERT_EQ(grow_zone(*zone, 1, PageSize::kBase, &number), GrowStatus::kGrown);
      ASSERT_EQ(number, frame);
      ASSERT_EQ(zone_frames(*zone), frame + 1);
      ASSERT_TRUE(fake_.is_mapped(zone->frame_address(frame), kFrameBytes));
      ASSERT_EQ(frame_bytes_mapped(*zone), (frame + 1) * kFrameBytes) << "more than is used";
      memset(reinterpret_cast<void*>(zone->frame_address(frame)), 1, 64);
      use_tables(*zone, frame);
      expect_tables_counted();
    }
  }
}

// Whether the system takes the pages or not, the cells are zero afterwards, and only those.
TEST_F(ZoneGrowth, ReleasedMapIsEmpty) {
  for (const bool refused : {false, true}) {
    for (Zone* zone : {&g_tiny_zone, &g_small_zone, &g_medium_zone}) {
      size_t first = SIZE_MAX;
      ASSERT_EQ(grow_zone(*zone, 3, PageSize::kBase, &first), GrowStatus::kGrown);
      const size_t cells = kFrameBytes >> zone->shape.unit_shift;
      auto* map = reinterpret_cast<uint8_t*>(zone->map + first * cells);
      memset(map, 7, 3 * cells);
      if (refused) fake_.fail(VmCall::kDecommit, 1);
      release_map(*zone, first + 1);
      for (size_t i = 0; i < 3 * cells; ++i) {
        ASSERT_EQ(map[i], i / cells == 1 ? 0 : 7) << "cell " << i << (refused ? ", refused" : "");
      }
    }
  }
}

TEST_F(ZoneGrowth, SeveralFramesInARow) {
  size_t number = SIZE_MAX;
  ASSERT_EQ(grow_zone(g_small_zone, 11, PageSize::kBase, &number), GrowStatus::kGrown);
  EXPECT_EQ(number, 0U);
  ASSERT_EQ(grow_zone(g_small_zone, 2, PageSize::kBase, &number), GrowStatus::kGrown);
  EXPECT_EQ(number, 11U);
  EXPECT_TRUE(fake_.is_mapped(g_small_zone.base, 13 * kFrameBytes));
  for (size_t frame = 0; frame < 13; ++frame) use_tables(g_small_zone, frame);
}

TEST_F(ZoneGrowth, ClaimMapsNothingButTables) {
  size_t number = SIZE_MAX;
  ASSERT_EQ(claim_addresses(g_large_zone, 3, &number), GrowStatus::kGrown);
  EXPECT_EQ(number, 0U);
  ASSERT_EQ(claim_addresses(g_large_zone, 600, &number), GrowStatus::kGrown);
  EXPECT_EQ(number, 3U);
  EXPECT_EQ(zone_frames(g_large_zone), 603U);
  EXPECT_EQ(frame_bytes_mapped(g_large_zone), 0U);
  for (size_t frame = 0; frame < 603; ++frame) use_tables(g_large_zone, frame);
  expect_tables_counted();
}

TEST_F(ZoneGrowth, FullZone) {
  g_small_zone.frames_max = 3;
  size_t number = SIZE_MAX;
  EXPECT_EQ(grow_zone(g_small_zone, 4, PageSize::kBase, &number), GrowStatus::kNoMemory);
  EXPECT_EQ(claim_addresses(g_small_zone, 4, &number), GrowStatus::kNoMemory);
  EXPECT_EQ(claim_addresses(g_small_zone, SIZE_MAX, &number), GrowStatus::kNoMemory);
  EXPECT_EQ(zone_frames(g_small_zone), 0U);
  for (size_t frame = 0; frame < 3; ++frame) {
    ASSERT_EQ(grow_zone(g_small_zone, 1, PageSize::kBase, &number), GrowStatus::kGrown);
    EXPECT_EQ(number, frame);
    use_tables(g_small_zone, frame);
  }
  EXPECT_EQ(grow_zone(g_small_zone, 1, PageSize::kBase, &number), GrowStatus::kNoMemory);
  EXPECT_EQ(claim_addresses(g_small_zone, 1, &number), GrowStatus::kNoMemory);
  EXPECT_EQ(zone_frames(g_small_zone), 3U);
}

// With `frames` there already, the k-th call is refused; says whether there was a k-th call.
class ZoneRefusal : public ZoneGrowth {
 protected:
  bool refuse(Zone& zone, size_t frames, uint64_t k, MapStatus how) {
    SCOPED_TRACE(testing::Message() << "call " << k << " after " << frames << " frames");
    plan_zones_anew(fake_, kSides, test_anchor());
    tables_before_ = zone_tables_bytes();
    size_t number = SIZE_MAX;
    for (size_t i = 0; i < frames; ++i) {
      EXPECT_EQ(grow_zone(zone, 1, PageSize::kBase, &number), GrowStatus::kGrown);
    }
    fake_.fail(VmCall::kMapAt, k, 1, how);
    number = SIZE_MAX;
    const GrowStatus status = grow_zone(zone, 1, PageSize::kBase, &number);
    const uint64_t calls = fake_.calls(VmCall::kMapAt);
    if (status == GrowStatus::kNoMemory) {
      EXPECT_EQ(number, SIZE_MAX);
      EXPECT_EQ(zone_frames(zone), frames) << "published";
      EXPECT_EQ(frame_bytes_mapped(zone), frames * kFrameBytes);
    } else {
      // Refused as taken, the frame's place was stepped over.
      EXPECT_EQ(number, calls < k ? frames : frames + 1);
      EXPECT_EQ(how, calls < k ? how : MapStatus::kTaken);
    }
    expect_tables_counted();
    fake_.fail_nothing();
    const size_t published = zone_frames(zone);
    EXPECT_EQ(grow_zone(zone, 1, PageSize::kBase, &number), GrowStatus::kGrown);
    EXPECT_EQ(number, published);
    EXPECT_TRUE(fake_.is_mapped(zone.frame_address(number), kFrameBytes));
    use_tables(zone, number);
    expect_tables_counted();
    return calls >= k;
  }
};

TEST_F(ZoneRefusal, AtEveryCall) {
  for (Zone* zone : {&g_tiny_zone, &g_small_zone, &g_medium_zone}) {
    for (size_t frames = 0; frames <= kTableStep + 1; ++frames) {
      for (const MapStatus how : {MapStatus::kNoMemory, MapStatus::kTaken}) {
        uint64_t refused = 0;
        while (refuse(*zone, frames, refused + 1, how)) ++refused;
        // The map, the side, the frame; between two steps of the tables the frame alone.
        EXPECT_EQ(refused, frames % kTableStep == 0 ? 3U : 1U);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_F(ZoneRefusal, ClaimAtEveryCall) {
  fake_.fail(VmCall::kMapAt, 1);
  size_t number = SIZE_MAX;
  EXPECT_EQ(claim_addresses(g_large_zone, 1, &number), GrowStatus::kNoMemory);
  EXPECT_EQ(number, SIZE_MAX);
  EXPECT_EQ(zone_frames(g_large_zone), 0U);
  EXPECT_EQ(fake_.mapped_bytes(), 0U);
  EXPECT_EQ(claim_addresses(g_large_zone, 1, &number), GrowStatus::kGrown);
  EXPECT_EQ(number, 0U);
}

TEST_F(ZoneGrowth, ForeignMappingIsSteppedOver) {
  // One frame is ours; behind it lie 300 of somebody else.
  size_t number = SIZE_MAX;
  ASSERT_EQ(grow_zone(g_medium_zone, 1, PageSize::kBase, &number), GrowStatus::kGrown);
  const uintptr_t foreign = g_medium_zone.frame_address(1);
  constexpr size_t kForeignFrames = 300;
  ASSERT_EQ(kernel_vm().map_at(foreign, kForeignFrames * kFrameBytes), MapStatus::kMapped);
  memset(reinterpret_cast<void*>(foreign), 0x77, 64);
  fake_.fail_nothing();  // counts anew
  ASSERT_EQ(grow_zone(g_medium_zone, 1, PageSize::kBase, &number), GrowStatus::kGrown);
  EXPECT_GT(number, kForeignFrames);
  EXPECT_TRUE(fake_.is_mapped(g_medium_zone.frame_address(number), kFrameBytes));
  use_tables(g_medium_zone, number);
  // Two tables a step, and strides that double.
  EXPECT_LE(fake_.calls(VmCall::kMapAt), 40U);
  for (size_t i = 0; i < 64; ++i) {
    ASSERT_EQ(reinterpret_cast<const uint8_t*>(foreign)[i], 0x77) << "foreign memory was touched";
  }
  kernel_vm().unmap(foreign, kForeignFrames * kFrameBytes);
}

TEST_F(ZoneGrowth, RefusedPagesOfThePoolLeaveThePlaceForUsualOnes) {
  size_t number = SIZE_MAX;
  ASSERT_EQ(grow_zone(g_small_zone, 1, PageSize::k2MiB, &number), GrowStatus::kGrown);
  EXPECT_EQ(fake_.hugetlb_bytes_in(g_small_zone.frame_address(0), kFrameBytes), kFrameBytes);
  fake_.fail(VmCall::kMapHugetlbAt, 1);
  number = SIZE_MAX;
  EXPECT_EQ(grow_zone(g_small_zone, 1, PageSize::k2MiB, &number), GrowStatus::kNoMemory);
  EXPECT_EQ(number, SIZE_MAX);
  EXPECT_EQ(zone_frames(g_small_zone), 1U) << "published";
  ASSERT_EQ(grow_zone(g_small_zone, 1, PageSize::kBase, &number), GrowStatus::kGrown);
  EXPECT_EQ(number, 1U);
  EXPECT_EQ(fake_.hugetlb_bytes_in(g_small_zone.frame_address(1), kFrameBytes), 0U);
}

TEST_F(ZoneGrowth, GiganticPagesBeginWhereTheyCan) {
  constexpr size_t kFrames = kGiB / kFrameBytes;
  Zone& zone = g_medium_zone;
  size_t number = SIZE_MAX;
  // Up to such a place, and one frame further.
  const size_t before = (round_up(zone.base, kGiB) - zone.base) / kFrameBytes;
  if (before > 0) {
    EXPECT_EQ(grow_zone(zone, kFrames, PageSize::k1GiB, &number), GrowStatus::kUnaligned);
    ASSERT_EQ(grow_zone(zone, before, PageSize::kBase, &number), GrowStatus::kGrown);
  }
  ASSERT_EQ(grow_zone(zone, 1, PageSize::kBase, &number), GrowStatus::kGrown);
  fake_.fail_nothing();  // counts anew
  EXPECT_EQ(grow_zone(zone, kFrames, PageSize::k1GiB, &number), GrowStatus::kUnaligned);
  EXPECT_EQ(fake_.calls(VmCall::kMapHugetlbAt) + fake_.calls(VmCall::kMapAt), 0U);
  ASSERT_EQ(grow_zone(zone, kFrames - 1, PageSize::kBase, &number), GrowStatus::kGrown);
  // The first is somebody else's.
  fake_.fail(VmCall::kMapHugetlbAt, 1, 1, MapStatus::kTaken);
  ASSERT_EQ(grow_zone(zone, kFrames, PageSize::k1GiB, &number), GrowStatus::kGrown);
  EXPECT_EQ(number, before + 2 * kFrames);
  EXPECT_EQ(zone_frames(zone), before + 3 * kFrames);
  const uintptr_t start = zone.frame_address(number);
  EXPECT_EQ(start % kGiB, 0U);
  EXPECT_EQ(fake_.hugetlb_bytes_in(start, kGiB), kGiB);
  for (size_t i = 0; i < kFrames; i += 100) use_tables(zone, number + i);
  expect_tables_counted();
}

TEST_F(ZoneGrowth, Threads) {
  constexpr size_t kThreads = 4;
  constexpr size_t kEach = 16;
  std::mutex mutex;
  std::set<size_t> numbers;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (size_t i = 0; i < kEach; ++i) {
        size_t number = SIZE_MAX;
        EXPECT_EQ(grow_zone(g_small_zone, 1, PageSize::kBase, &number), GrowStatus::kGrown);
        const std::lock_guard guard(mutex);
        EXPECT_TRUE(numbers.insert(number).second) << "frame " << number << " twice";
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(*numbers.rbegin(), kThreads * kEach - 1);
  EXPECT_EQ(zone_frames(g_small_zone), kThreads * kEach);
}

TEST_F(ZoneGrowth, ForkLeavesZonesUsable) {
  for (const bool in_child : {false, true}) {
    zones_lock_for_fork();
    zones_unlock_after_fork(in_child);
    size_t number = SIZE_MAX;
    EXPECT_EQ(grow_zone(g_small_zone, 1, PageSize::kBase, &number), GrowStatus::kGrown);
  }
}

}  // namespace
}  // namespace elasticpool::test
