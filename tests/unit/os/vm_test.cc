// os/vm.h on the kernel itself.
#include "os/vm.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/bits.h"
#include "base/units.h"
#include "os/process.h"

namespace elasticpool {
namespace {

char* pointer(uintptr_t address) { return reinterpret_cast<char*>(address); }

// Addresses that nothing is mapped at: a hole that was ours a moment ago.
class VmTest : public testing::Test {
 protected:
  static constexpr size_t kHoleBytes = 64 * kMiB;
  static constexpr size_t kBytes = 256 * kKiB;

  void SetUp() override {
    void* hole = mmap(nullptr, kHoleBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(hole, MAP_FAILED);
    ASSERT_EQ(munmap(hole, kHoleBytes), 0);
    // In the middle, away from what the kernel merges with its neighbours.
    at_ = round_up(address_of(hole) + kHoleBytes / 4, kFrameBytes);
    ASSERT_EQ(vm_.map_at(at_, kBytes), MapStatus::kMapped);
  }
  void TearDown() override { munmap(pointer(at_), kHoleBytes / 2); }

  static bool is_mapped(uintptr_t address, size_t bytes) {
    std::vector<unsigned char> pages(divide_up(bytes, page_bytes()));
    return mincore(pointer(address), bytes, pages.data()) == 0;
  }

  static void expect_filled(uintptr_t address, size_t bytes, char value) {
    for (size_t i = 0; i < bytes; ++i) {
      ASSERT_EQ(pointer(address)[i], value) << "byte " << i << " of " << bytes;
    }
  }

  // Else populate() can only say yes.
  bool kernel_populates() const {
    constexpr int kPopulateWrite = 23;
    return madvise(pointer(at_), page_bytes(), kPopulateWrite) == 0;
  }

  const Vm& vm_ = kernel_vm();
  uintptr_t at_ = 0;
};

TEST_F(VmTest, MapsZeroedPagesWhereAsked) {
  expect_filled(at_, kBytes, 0);
  memset(pointer(at_), 1, kBytes);
  expect_filled(at_, kBytes, 1);
  EXPECT_FALSE(is_mapped(at_ + kBytes, page_bytes()));
  EXPECT_FALSE(is_mapped(at_ - page_bytes(), page_bytes()));
}

TEST_F(VmTest, TakenRangeStaysAsItWas) {
  memset(pointer(at_), 7, kBytes);
  // All of it, its first page, its last page from behind, and a range around it.
  EXPECT_EQ(vm_.map_at(at_, kBytes), MapStatus::kTaken);
  EXPECT_EQ(vm_.map_at(at_ - kBytes, kBytes + page_bytes()), MapStatus::kTaken);
  EXPECT_EQ(vm_.map_at(at_ + kBytes - page_bytes(), kBytes), MapStatus::kTaken);
  EXPECT_EQ(vm_.map_at(at_ - kBytes, 3 * kBytes), MapStatus::kTaken);
  expect_filled(at_, kBytes, 7);
  EXPECT_FALSE(is_mapped(at_ - kBytes, kBytes));
  EXPECT_FALSE(is_mapped(at_ + kBytes, kBytes));
}

TEST_F(VmTest, MoreThanThereIsIsNoMemory) {
  errno = 0;
  EXPECT_EQ(vm_.map_at(at_, size_t{1} << 60), MapStatus::kNoMemory);
  EXPECT_EQ(vm_.map_anywhere(size_t{1} << 60), nullptr);
  EXPECT_EQ(errno, 0);
}

TEST_F(VmTest, MapAnywhere) {
  void* somewhere = vm_.map_anywhere(kBytes);
  ASSERT_NE(somewhere, nullptr);
  expect_filled(address_of(somewhere), kBytes, 0);
  EXPECT_TRUE(vm_.unmap(address_of(somewhere), kBytes));
}

TEST_F(VmTest, UnmappedIsFreeForOthers) {
  memset(pointer(at_), 7, kBytes);
  EXPECT_TRUE(vm_.unmap(at_, kBytes));
  EXPECT_FALSE(is_mapped(at_, kBytes));
  ASSERT_EQ(vm_.map_at(at_, kBytes), MapStatus::kMapped);
  expect_filled(at_, kBytes, 0);
}

TEST_F(VmTest, UnmapSaysWhatTheKernelRefuses) { EXPECT_FALSE(vm_.unmap(at_ + 1, kBytes)); }

TEST_F(VmTest, DecommittedReadsAsZeroAndItsNeighboursStay) {
  memset(pointer(at_), 7, kBytes);
  const size_t page = page_bytes();
  EXPECT_TRUE(vm_.decommit(at_ + page, kBytes - 2 * page));
  std::vector<unsigned char> pages(kBytes / page);
  ASSERT_EQ(mincore(pointer(at_), kBytes, pages.data()), 0);
  EXPECT_EQ(pages[0] & 1, 1);
  for (size_t i = 1; i + 1 < pages.size(); ++i) EXPECT_EQ(pages[i] & 1, 0) << "page " << i;
  EXPECT_EQ(pages.back() & 1, 1);
  expect_filled(at_, page, 7);
  expect_filled(at_ + page, kBytes - 2 * page, 0);
  expect_filled(at_ + kBytes - page, page, 7);
  memset(pointer(at_), 8, kBytes);
}

TEST_F(VmTest, RemapMovesPagesNotBytes) {
  const uintptr_t to = at_ + 4 * kBytes;
  memset(pointer(at_), 7, kBytes);
  const uint64_t faults = page_faults().minor;
  ASSERT_EQ(vm_.remap(at_, kBytes, to, 2 * kBytes), MapStatus::kMapped);
  for (size_t i = 0; i < kBytes; i += page_bytes()) {
    ASSERT_EQ(*static_cast<volatile char*>(pointer(to + i)), 7) << "byte " << i;
  }
  // A copy would have touched every page of the new place.
  EXPECT_LT(page_faults().minor - faults, kBytes / page_bytes() / 2);
  expect_filled(to, kBytes, 7);
  expect_filled(to + kBytes, kBytes, 0);
  EXPECT_FALSE(is_mapped(at_, kBytes));
}

TEST_F(VmTest, RemapDoesNotReplaceWhatIsThere) {
  const uintptr_t to = at_ + 4 * kBytes;
  ASSERT_EQ(vm_.map_at(to + kBytes, kBytes), MapStatus::kMapped);
  memset(pointer(at_), 7, kBytes);
  memset(pointer(to + kBytes), 9, kBytes);
  EXPECT_EQ(vm_.remap(at_, kBytes, to, 2 * kBytes), MapStatus::kTaken);
  expect_filled(at_, kBytes, 7);
  expect_filled(to + kBytes, kBytes, 9);
  EXPECT_FALSE(is_mapped(to, kBytes));
}

TEST_F(VmTest, RemapInPlace) {
  memset(pointer(at_), 7, kBytes);
  ASSERT_EQ(vm_.remap(at_, kBytes, at_, 4 * kBytes), MapStatus::kMapped);
  expect_filled(at_, kBytes, 7);
  expect_filled(at_ + kBytes, 3 * kBytes, 0);
  ASSERT_EQ(vm_.remap(at_, 4 * kBytes, at_, kBytes), MapStatus::kMapped);
  expect_filled(at_, kBytes, 7);
  EXPECT_FALSE(is_mapped(at_ + kBytes, kBytes));
}

TEST_F(VmTest, RemapInPlaceNeedsRoomBehind) {
  memset(pointer(at_), 7, kBytes);
  ASSERT_EQ(vm_.map_at(at_ + 2 * kBytes, kBytes), MapStatus::kMapped);
  memset(pointer(at_ + 2 * kBytes), 9, kBytes);
  EXPECT_EQ(vm_.remap(at_, kBytes, at_, 2 * kBytes + page_bytes()), MapStatus::kNoMemory);
  EXPECT_FALSE(is_mapped(at_ + kBytes, kBytes));
  EXPECT_EQ(vm_.remap(at_, kBytes, at_, 2 * kBytes), MapStatus::kMapped);
  expect_filled(at_, kBytes, 7);
  expect_filled(at_ + 2 * kBytes, kBytes, 9);
}

TEST_F(VmTest, RemapInPlaceOfSeveralMappingsIsTaken) {
  ASSERT_EQ(mprotect(pointer(at_ + kBytes / 2), page_bytes(), PROT_READ), 0);
  EXPECT_EQ(vm_.remap(at_, kBytes, at_, 2 * kBytes), MapStatus::kTaken);
  EXPECT_TRUE(is_mapped(at_, kBytes));
}

// Whether this kernel's pool has pages is no matter of a test: what must hold either way.
TEST_F(VmTest, PagesOfThePoolOrNothing) {
  const uintptr_t free = at_ + kFrameBytes;
  const MapStatus status = vm_.map_hugetlb_at(free, kFrameBytes, PageSize::k2MiB);
  ASSERT_NE(status, MapStatus::kTaken);
  if (status == MapStatus::kMapped) {
    ASSERT_TRUE(vm_.populate(free, kFrameBytes));
    expect_filled(free, kFrameBytes, 0);
    EXPECT_FALSE(vm_.unmap(free, page_bytes())) << "a part of a page";
    EXPECT_TRUE(vm_.unmap(free, kFrameBytes));
  }
  EXPECT_FALSE(is_mapped(free, kFrameBytes));
  EXPECT_EQ(vm_.map_at(free, kFrameBytes), MapStatus::kMapped) << "usual ones may be had";
}

TEST_F(VmTest, PagesOfThePoolReplaceNothing) {
  memset(pointer(at_), 7, kBytes);
  for (const PageSize pages : {PageSize::k2MiB, PageSize::k1GiB}) {
    const size_t bytes = pages == PageSize::k1GiB ? kGiB : kFrameBytes;
    EXPECT_NE(vm_.map_hugetlb_at(round_down(at_, bytes), bytes, pages), MapStatus::kMapped);
  }
  expect_filled(at_, kBytes, 7);
  EXPECT_FALSE(is_mapped(at_ + kBytes, page_bytes()));
}

TEST_F(VmTest, PopulatedPagesAreThere) {
  if (!kernel_populates()) GTEST_SKIP() << "a kernel before 5.14";
  EXPECT_TRUE(vm_.populate(at_, kBytes));
  const uint64_t faults = page_faults().minor;
  memset(pointer(at_), 7, kBytes);
  EXPECT_LT(page_faults().minor - faults, kBytes / page_bytes() / 2);
}

TEST_F(VmTest, PopulateSaysThatThereAreNoPages) {
  if (!kernel_populates()) GTEST_SKIP() << "a kernel before 5.14";
  ASSERT_TRUE(vm_.unmap(at_, kBytes));
  EXPECT_FALSE(vm_.populate(at_, kBytes)) << "not mapped";
}

TEST(Vm, TheTableIsReplaceable) {
  Vm other = kernel_vm();
  other.map_anywhere = [](size_t) -> void* { return nullptr; };
  set_vm(other);
  EXPECT_EQ(vm().map_anywhere(kGranuleBytes), nullptr);
  set_vm(kernel_vm());
  void* somewhere = vm().map_anywhere(kGranuleBytes);
  ASSERT_NE(somewhere, nullptr);
  EXPECT_TRUE(vm().unmap(address_of(somewhere), kGranuleBytes));
}

TEST(Vm, PageIsAPowerOfTwo) {
  EXPECT_TRUE(is_power_of_two(page_bytes()));
  EXPECT_EQ(static_cast<long>(page_bytes()), sysconf(_SC_PAGESIZE));
}

}  // namespace
}  // namespace elasticpool
