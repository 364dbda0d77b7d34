// pagemap/zone.h: where the zones lie, and which addresses are steps.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "zones.h"

namespace elasticpool::test {
namespace {

constexpr unsigned kSeed = 301;
constexpr ZoneSides kSides = {{18560, 6272, 4224}};
constexpr uintptr_t kLowEnd = 64 * kGiB;

std::vector<Zone*> block_zones() { return {&g_tiny_zone, &g_small_zone, &g_medium_zone}; }
std::vector<Zone*> zones() { return {&g_tiny_zone, &g_small_zone, &g_medium_zone, &g_large_zone}; }

size_t units_of(const Zone& zone) { return zone.frames_max * kFrameBytes >> zone.shape.unit_shift; }

// Blocks, maps and sides of all zones, by address.
std::vector<Range> planned_ranges() {
  std::vector<Range> ranges;
  for (const Zone* zone : zones()) {
    ranges.push_back({zone->base, zone->base + zone->frames_max * kFrameBytes});
    ranges.push_back({zone->map, zone->map + units_of(*zone) * zone->map_bytes_per_unit});
    if (zone->side_bytes_per_frame == 0) continue;
    ranges.push_back({zone->side, zone->side + zone->frames_max * zone->side_bytes_per_frame});
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.start < b.start; });
  return ranges;
}

void expect_sound_plan(uintptr_t anchor) {
  SCOPED_TRACE(testing::Message() << "anchor " << std::hex << anchor);
  FakeVm fake;
  plan_zones_anew(fake, kSides, anchor);
  const std::vector<Range> ranges = planned_ranges();
  for (size_t i = 0; i < ranges.size(); ++i) {
    ASSERT_GT(ranges[i].end, ranges[i].start);
    ASSERT_EQ(ranges[i].start % (64 * kKiB), 0U) << "pages may be that large";
    if (i > 0) {
      ASSERT_LE(ranges[i - 1].end, ranges[i].start);
    }
  }
  const bool is_low = anchor < kLowEnd;
  const size_t zone_bytes = g_tiny_zone.frames_max * kFrameBytes;
  if (is_low) {
    EXPECT_GE(ranges.front().start, kLowEnd) << "mappings lie there";
  } else {
    EXPECT_LE(ranges.back().end, anchor / 4) << "in the way of what others reserve";
    EXPECT_GT(std::min(g_large_zone.map, g_medium_zone.side), anchor / 4 - 6 * (anchor / 64))
        << "more than the plan may take";
  }
  for (const Zone* zone : block_zones()) {
    EXPECT_EQ(zone->map, zone->base >> zone->shape.unit_shift);
    EXPECT_EQ(zone->first_step, zone->base >> zone->shape.step_shift);
    EXPECT_EQ(zone->frames_max, g_tiny_zone.frames_max);
  }
  EXPECT_EQ(g_large_zone.frames_max, 2 * g_tiny_zone.frames_max);
  EXPECT_GE(zone_bytes, std::min(std::max(anchor, kLowEnd) / 128, 1024 * kGiB));
  // Half-made zones hold nothing.
  for (const Zone* zone : zones()) EXPECT_EQ(zone->published_steps(), 0U);
}

TEST(ZonePlan, ZonesAreApart) {
  // Where Linux maps: 39, 42, 47, 48 bits; and below where it starts, as under valgrind.
  for (const unsigned bits : {39U, 42U, 47U, 48U}) {
    expect_sound_plan((uintptr_t{1} << bits) - 4096);
    expect_sound_plan((uintptr_t{1} << bits) / 3 * 2);
  }
  for (const uintptr_t anchor : {uintptr_t{0}, 64 * kMiB, kLowEnd - 1, kLowEnd, kLowEnd + 1}) {
    expect_sound_plan(anchor);
  }
  std::mt19937_64 random(kSeed);
  for (int i = 0; i < 500; ++i) expect_sound_plan(random() >> (17 + random() % 20));
}

TEST(ZonePlan, LowAnchorsShareOnePlan) {
  FakeVm fake;
  plan_zones_anew(fake, kSides, 64 * kMiB);
  const uintptr_t base = g_small_zone.base;
  plan_zones_anew(fake, kSides, kLowEnd - 1);
  EXPECT_EQ(g_small_zone.base, base);
  plan_zones_anew(fake, kSides, kLowEnd);
  EXPECT_LT(g_small_zone.base, kLowEnd);
}

TEST(ZonePlan, SidesLieByFrame) {
  FakeVm fake;
  plan_zones_anew(fake, kSides, test_anchor());
  for (const Zone* zone : block_zones()) {
    const size_t side_bytes = kSides.bytes_per_frame[index_of(zone->kind)];
    for (const size_t frame : {size_t{0}, size_t{1}, size_t{77}, zone->frames_max - 1}) {
      EXPECT_EQ(address_of(zone->side_of(frame)), zone->side + frame * side_bytes);
      const uintptr_t start = zone->frame_address(frame);
      EXPECT_EQ(start, zone->base + frame * kFrameBytes);
      for (const size_t offset : {size_t{0}, size_t{1}, kFrameBytes - 1}) {
        EXPECT_EQ(zone->frame_of(reinterpret_cast<void*>(start + offset)), frame);
      }
    }
  }
}

// Whether step_of() and holds_step() let pass what they are to let pass.
template <ZoneShape kShape>
void expect_exact(const Zone& zone, uintptr_t address) {
  const auto* p = reinterpret_cast<const void*>(address);
  const uintptr_t end = zone.base + zone_frames(zone) * kFrameBytes;
  const bool inside = address >= zone.base && address < end;
  const bool is_start = inside && (address - zone.base) % (size_t{1} << kShape.step_shift) == 0;
  const uintptr_t step = step_of<kShape>(p);
  ASSERT_EQ(zone.holds_step(step), is_start) << std::hex << address;
  ASSERT_EQ(zone.holds(p), inside) << std::hex << address;
  if (is_start) {
    ASSERT_EQ(step, address >> kShape.step_shift) << std::hex << address;
  }
}

template <ZoneShape kShape>
void expect_exact_everywhere(Zone& zone) {
  size_t first = 0;
  expect_exact<kShape>(zone, zone.base);  // empty as yet
  ASSERT_EQ(claim_addresses(zone, 3, &first), GrowStatus::kGrown);
  const uintptr_t end = zone.base + 3 * kFrameBytes;
  // Around the start, a block in the middle, a frame's start, and the end.
  for (const uintptr_t middle :
       {zone.base, zone.base + 5 * kGranuleBytes, zone.base + kFrameBytes, end}) {
    for (uintptr_t address = middle - 4 * kKiB; address < middle + 4 * kKiB; ++address) {
      expect_exact<kShape>(zone, address);
    }
  }
  for (const uintptr_t address :
       {uintptr_t{0}, uintptr_t{1}, uintptr_t{16}, UINTPTR_MAX, UINTPTR_MAX - 15,
        zone.base - kFrameBytes, end + kFrameBytes, zone.base + (uintptr_t{1} << 63),
        zone.base + (uintptr_t{1} << 60)}) {
    expect_exact<kShape>(zone, address);
  }
  std::mt19937_64 random(kSeed);
  for (int i = 0; i < 100000; ++i) {
    expect_exact<kShape>(zone, random());
    expect_exact<kShape>(zone, zone.base + random() % (4 * kFrameBytes));
  }
}

TEST(ZoneSteps, OnlyExactStartsPass) {
  FakeVm fake;
  plan_zones_anew(fake, kSides, test_anchor());
  expect_exact_everywhere<kTinyShape>(g_tiny_zone);
  expect_exact_everywhere<kSmallShape>(g_small_zone);
  expect_exact_everywhere<kMediumShape>(g_medium_zone);
  expect_exact_everywhere<kLargeShape>(g_large_zone);
  fake.unmap_all();
}

// The cell of a step is the byte of the map that stands for the step's unit.
template <ZoneShape kShape>
void expect_cells_in_map(Zone& zone) {
  for (const size_t offset : {size_t{0}, kGranuleBytes, 7 * kFrameBytes + 3 * kGranuleBytes}) {
    for (size_t i = 0; i < 100; ++i) {
      const uintptr_t address = zone.base + offset + (i << kShape.step_shift);
      ASSERT_EQ(reinterpret_cast<uintptr_t>(&cell_at<kShape>(step_of_address<kShape>(address))),
                zone.map + ((address - zone.base) >> kShape.unit_shift));
      ASSERT_EQ(address_of(block_at<kShape>(step_of_address<kShape>(address))), address);
    }
  }
}

TEST(ZoneSteps, TheirCellsAreInTheMap) {
  FakeVm fake;
  plan_zones_anew(fake, kSides, test_anchor());
  expect_cells_in_map<kTinyShape>(g_tiny_zone);
  expect_cells_in_map<kSmallShape>(g_small_zone);
  expect_cells_in_map<kMediumShape>(g_medium_zone);
}

}  // namespace
}  // namespace elasticpool::test
