// large/extents.h where the system refuses memory for its own records: a plain refusal, and what
// needs no new record is still served.
#include <gtest/gtest.h>

#include <vector>

#include "fresh_process.h"
#include "large/extents.h"
#include "zones.h"

namespace elasticpool::test {
namespace {

constexpr size_t kFreeBytes = 8 * kMiB;

// An extent of kFreeBytes is free, and no record is left: one more would need a new chunk of them.
class NoRecords {
 public:
  NoRecords() {
    plan_zones_anew(fake_, {64, 64}, test_anchor());
    large_boot(FitPolicy::kBest, kGiB);
    void* first = allocate(kFreeBytes);
    fake_.fail(VmCall::kMapAnywhere, 1, FakeVm::kFromThereOn);
    while (void* p = allocate(kFrameBytes)) live_.push_back(p);
    EXPECT_GT(live_.size(), 1000U);
    EXPECT_TRUE(large_free(first));
  }
  ~NoRecords() {
    for (void* p : live_) EXPECT_TRUE(large_free(p));
    const LargeStats stats = large_stats();
    EXPECT_EQ(stats.requests, stats.frees);
    EXPECT_EQ(stats.free_resident_bytes + stats.free_clean_bytes, stats.mapped_bytes);
    EXPECT_EQ(stats.mapped_bytes + stats.hole_bytes,
              g_large_zone.published_steps() * kGranuleBytes);
  }
  NoRecords(const NoRecords&) = delete;
  NoRecords& operator=(const NoRecords&) = delete;

  static void* allocate(size_t bytes, size_t align_bytes = 1) {
    bool zeroed = false;
    return large_allocate(bytes, align_bytes, &zeroed);
  }

  void free_one() {
    EXPECT_TRUE(large_free(live_.back()));
    live_.pop_back();
  }

 private:
  FakeVm fake_;
  std::vector<void*> live_;
};

// There is a free range that is long enough, and no record for what would be left of it.
void cannot_be_cut(RangeState state) {
  NoRecords heap;
  if (state == RangeState::kClean) large_release(0);
  if (state == RangeState::kHole) large_unmap_free();
  EXPECT_EQ(heap.allocate(3 * kMiB), nullptr);
  EXPECT_EQ(heap.allocate(kFreeBytes + 1), nullptr);
  void* whole = heap.allocate(kFreeBytes);
  ASSERT_NE(whole, nullptr);
  EXPECT_TRUE(large_free(whole));
  // Two that become one leave a record, for the rest.
  heap.free_one();
  heap.free_one();
  void* part = heap.allocate(3 * kMiB);
  ASSERT_NE(part, nullptr);
  EXPECT_TRUE(large_free(part));
}

class ExtentRecordsRefused : public testing::TestWithParam<RangeState> {};

TEST_P(ExtentRecordsRefused, ARangeThatCannotBeCutIsARefusal) {
  run_in_fresh_process([] { cannot_be_cut(GetParam()); });
}

INSTANTIATE_TEST_SUITE_P(Each, ExtentRecordsRefused,
                         testing::Values(RangeState::kResident, RangeState::kClean,
                                         RangeState::kHole));

// What is in front of an aligned place needs a record as well as what is behind it.
void cannot_be_aligned() {
  NoRecords heap;
  void* lowest = heap.allocate(kFreeBytes);
  ASSERT_NE(lowest, nullptr);
  EXPECT_TRUE(large_free(lowest));
  size_t align_bytes = kFrameBytes;
  while (address_of(lowest) % align_bytes == 0) align_bytes *= 2;
  EXPECT_EQ(heap.allocate(kFrameBytes, align_bytes), nullptr);
}

TEST(ExtentRecords, APlaceWithinARangeIsARefusal) { run_in_fresh_process(cannot_be_aligned); }

}  // namespace
}  // namespace elasticpool::test
