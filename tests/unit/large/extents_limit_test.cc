// large/extents.h where the address space is limited while the process runs: nearly all of it can
// be had, the end is a plain refusal, and what was freed can be had again in other sizes.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "fresh_process.h"
#include "large/extents.h"
#include "os/vm.h"
#include "scripted_vm.h"

namespace elasticpool::test {
namespace {

// The bytes that were to be had in extents of one size.
size_t fill_up(size_t extent_bytes) {
  std::vector<void*> served;
  served.reserve(1024);
  size_t served_bytes = 0;
  bool zeroed = false;
  while (void* p = large_allocate(extent_bytes, 1, &zeroed)) {
    static_cast<char*>(p)[extent_bytes - 1] = 1;
    served.push_back(p);
    served_bytes += extent_bytes;
  }
  for (void* p : served) {
    if (!large_free(p)) return 0;
  }
  return served_bytes;
}

constexpr size_t kLimitBytes = 256 * kMiB;

size_t address_space_bytes() {
  unsigned long pages = 0;
  FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  if (std::fscanf(file, "%lu", &pages) != 1) pages = 0;
  std::fclose(file);
  return pages * page_bytes();
}

void limit_address_space() {
  use_test_zones();
  large_boot(FitPolicy::kBest, 64 * kMiB);
  const rlimit limit{kLimitBytes, kLimitBytes};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
}

class ExtentLimits : public testing::Test {
 protected:
  void SetUp() override {
    if (address_space_bytes() > 1024 * kGiB) GTEST_SKIP() << "a sanitizer's shadow takes it all";
  }
};

void use_up_and_recover() {
  limit_address_space();
  bool zeroed = false;
  // The tables for so much would take half of it.
  EXPECT_EQ(large_allocate(g_large_zone.frames_max * kFrameBytes, 1, &zeroed), nullptr);
  for (const size_t extent_bytes : {3 * kMiB, 7 * kMiB, 2 * kMiB + 1, 200 * kMiB, 3 * kMiB}) {
    const size_t served_bytes = fill_up(extent_bytes);
    const size_t wanted_bytes = extent_bytes > kLimitBytes / 2 ? extent_bytes : kLimitBytes / 5 * 4;
    EXPECT_GE(served_bytes, wanted_bytes) << "in extents of " << extent_bytes;
    EXPECT_LT(served_bytes, kLimitBytes);
  }
  const LargeStats stats = large_stats();
  EXPECT_EQ(stats.live_extents, 0U);
  EXPECT_EQ(stats.lost_bytes, 0U);
}

TEST_F(ExtentLimits, AddressSpaceIsUsedUpAndRecovered) { run_in_fresh_process(use_up_and_recover); }

// There is no room for two of it, nor for one of twice the size.
void grow_where_it_cannot_move() {
  limit_address_space();
  bool zeroed = false;
  auto* p = static_cast<char*>(large_allocate(100 * kMiB, 1, &zeroed));
  ASSERT_NE(p, nullptr);
  p[0] = 1;
  p[100 * kMiB - 1] = 2;
  EXPECT_EQ(large_reallocate(p, 180 * kMiB), p);
  EXPECT_EQ(large_reallocate(p, 400 * kMiB), nullptr);
  EXPECT_EQ(large_usable_bytes(p), 180 * kMiB);
  EXPECT_EQ(p[0], 1);
  EXPECT_EQ(p[100 * kMiB - 1], 2);
  EXPECT_TRUE(large_free(p));
  EXPECT_GE(fill_up(3 * kMiB), 200 * kMiB);
}

TEST_F(ExtentLimits, ABlockGrowsInPlaceOrIsKept) {
  run_in_fresh_process(grow_where_it_cannot_move);
}

// Whether so much could be mapped is not asked: addresses are passed over, nothing more.
void align_unasked() {
  FakeVm fake;
  use_test_zones();
  large_boot(FitPolicy::kBest, 64 * kMiB);
  bool zeroed = false;
  ASSERT_NE(large_allocate(2 * kMiB, 1, &zeroed), nullptr);
  fake.fail(VmCall::kMapAnywhere, 1, FakeVm::kFromThereOn);
  void* p = large_allocate(64, 4 * kGiB, &zeroed);
  EXPECT_NE(p, nullptr);
  EXPECT_EQ(address_of(p) % (4 * kGiB), 0U);
  EXPECT_EQ(fake.calls(VmCall::kMapAnywhere), 0U);
  EXPECT_EQ(large_stats().mapped_bytes, 2 * kMiB + kGranuleBytes);
  // Of a request that is so large itself it is.
  EXPECT_EQ(large_allocate(8 * kGiB, 1, &zeroed), nullptr);
  EXPECT_EQ(fake.calls(VmCall::kMapAnywhere), 2U);
}

TEST(ExtentAlignment, IsNotProbed) { run_in_fresh_process(align_unasked); }

// An alignment passes addresses over, and what is mapped is the request.
void align_within_the_limit() {
  limit_address_space();
  bool zeroed = false;
  const size_t most_bytes = std::min(64 * kGiB, g_large_zone.frames_max * kFrameBytes / 8);
  for (const size_t bytes : {size_t{64}, 3 * kMiB}) {
    for (size_t align_bytes = 4 * kMiB; align_bytes <= most_bytes; align_bytes *= 2) {
      auto* p = static_cast<char*>(large_allocate(bytes, align_bytes, &zeroed));
      ASSERT_NE(p, nullptr) << bytes << " at a multiple of " << align_bytes;
      EXPECT_EQ(address_of(p) % align_bytes, 0U);
      p[bytes - 1] = 1;
      EXPECT_TRUE(large_free(p));
    }
  }
  // What the tables take is never given back, so there is a bound.
  EXPECT_LE(zone_tables_bytes(), kLimitBytes / 10);
  const size_t tables_bytes = zone_tables_bytes();
  for (size_t align_bytes = 512 * kGiB; align_bytes != 0; align_bytes *= 2) {
    EXPECT_EQ(large_allocate(64, align_bytes, &zeroed), nullptr) << align_bytes;
  }
  EXPECT_EQ(zone_tables_bytes(), tables_bytes);
  EXPECT_GE(fill_up(3 * kMiB), kLimitBytes / 5 * 4);
}

TEST_F(ExtentLimits, AlignmentTakesNoAddressSpace) { run_in_fresh_process(align_within_the_limit); }

}  // namespace
}  // namespace elasticpool::test
