// buddy/buddy.h with MEMPOOL_HUGETLB: frames from the kernel's pool, and what becomes of them. The
// fake Vm fails a test that does anything with a part of one.
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "base/annotations.h"
#include "runs.h"

namespace elasticpool::test {
namespace {

constexpr NodeId kNode{0};
constexpr size_t kEverything = SIZE_MAX / 2;

class BuddyHugetlb : public testing::Test {
 protected:
  void SetUp() override {
    set_hugetlb("2M");
    buddy_vm().fail_nothing();
    buddy_set_retain(kEverything);
    // Another test may have been refused.
    for (Zone* zone : {&g_tiny_zone, &g_small_zone, &g_medium_zone}) {
      end_hugetlb_pause(*zone, kNode);
    }
    buddy_release(0);
    runs_.check();
  }
  void TearDown() override {
    buddy_vm().fail_nothing();
    runs_.free_all();
    free_whole();
    buddy_release(0);
    runs_.check();
    set_hugetlb("off");
  }

  static void* take(size_t granules, bool* zeroed = nullptr) {
    bool ignored = false;
    return buddy_allocate(g_small_zone, kNode, granules, zeroed == nullptr ? &ignored : zeroed);
  }
  static Frame* frame_of(const void* run) {
    return frame_record(g_small_zone, g_small_zone.frame_of(run));
  }
  static uint64_t hugetlb_frames() { return buddy_node_stats(kNode).hugetlb_frames; }

  // Whole frames, whose memory nobody touches.
  void* take_whole() {
    whole_.push_back(take(kGranulesPerFrame));
    EXPECT_NE(whole_.back(), nullptr);
    return whole_.back();
  }
  void free_whole() {
    for (void* run : whole_) buddy_free(g_small_zone, run);
    whole_.clear();
  }

  Runs runs_;
  std::vector<void*> whole_;
};

TEST_F(BuddyHugetlb, FramesComeFromThePool) {
  for (Zone* zone : {&g_tiny_zone, &g_small_zone, &g_medium_zone}) {
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(runs_.allocate(*zone, kNode, 20));
  }
  for (const auto& run : runs_.all()) {
    EXPECT_EQ(frame_record(*run.zone, run.frame())->pages, FramePages::kHugetlb);
  }
  EXPECT_EQ(buddy_vm().calls(VmCall::kPopulate), buddy_vm().calls(VmCall::kMapHugetlbAt));
  runs_.check();
}

TEST_F(BuddyHugetlb, OffAsksForNone) {
  set_hugetlb("off");
  buddy_vm().fail_nothing();
  for (int i = 0; i < 20; ++i) take_whole();
  EXPECT_EQ(buddy_vm().calls(VmCall::kMapHugetlbAt), 0U);
  EXPECT_EQ(hugetlb_frames(), 0U);
}

TEST_F(BuddyHugetlb, RefusalFallsBackAndIsNotRepeatedForEachFrame) {
  buddy_vm().fail(VmCall::kMapHugetlbAt, 1, FakeVm::kFromThereOn);
  constexpr size_t kFrames = 100;
  for (size_t i = 0; i < kFrames; ++i) {
    ASSERT_EQ(frame_of(take_whole())->pages, FramePages::kDefault);
  }
  // The 1st, and after pauses of 8, 16 and 32 the 10th, 27th and 60th.
  EXPECT_EQ(buddy_vm().calls(VmCall::kMapHugetlbAt), 4U);
  EXPECT_EQ(hugetlb_frames(), 0U);
  runs_.check_frames();
  // There are pages again: it is noticed, and from then on each frame has one.
  buddy_vm().fail_nothing();
  for (size_t i = 0; i < 2 * kFrames; ++i) take_whole();
  EXPECT_EQ(frame_of(whole_.back())->pages, FramePages::kHugetlb);
  EXPECT_EQ(hugetlb_frames(), buddy_vm().calls(VmCall::kMapHugetlbAt));
  EXPECT_GT(hugetlb_frames(), kFrames);
}

TEST_F(BuddyHugetlb, PageThatWentBackIsAskedForAtOnce) {
  void* held = take_whole();
  take_whole();
  buddy_vm().fail(VmCall::kMapHugetlbAt, 1);
  EXPECT_EQ(frame_of(take_whole())->pages, FramePages::kDefault);
  ASSERT_EQ(whole_.front(), held);
  whole_.erase(whole_.begin());
  buddy_free(g_small_zone, held);
  EXPECT_EQ(buddy_release(0), kFrameBytes);
  EXPECT_EQ(frame_of(take_whole())->pages, FramePages::kHugetlb);
}

// The pool has promised a page that the process may not have: a touch would end it.
TEST_F(BuddyHugetlb, PromisedPageThatDoesNotComeFallsBack) {
  buddy_vm().fail(VmCall::kPopulate, 1);
  void* run = take_whole();
  EXPECT_EQ(frame_of(run)->pages, FramePages::kDefault);
  EXPECT_EQ(buddy_vm().calls(VmCall::kPopulate), 1U);
  const uintptr_t start = address_of(run);
  EXPECT_TRUE(buddy_vm().is_mapped(start, kFrameBytes));
  EXPECT_EQ(buddy_vm().hugetlb_bytes_in(start, kFrameBytes), 0U);
  EXPECT_EQ(frame_of(take_whole())->pages, FramePages::kDefault) << "no pause";
  EXPECT_EQ(buddy_vm().calls(VmCall::kPopulate), 1U);
}

TEST_F(BuddyHugetlb, PlaceThatSomebodyTookIsLeftToThem) {
  buddy_free(g_small_zone, take(1));
  buddy_release(0);
  buddy_vm().fail(VmCall::kMapHugetlbAt, 1, 1, MapStatus::kTaken);
  void* run = take_whole();
  ASSERT_NE(run, nullptr);
  EXPECT_EQ(frame_of(run)->pages, FramePages::kHugetlb) << "that was no refusal";
  EXPECT_EQ(buddy_vm().calls(VmCall::kMapHugetlbAt), 2U);
}

TEST_F(BuddyHugetlb, NoPartGoesBackAndNothingIsSaidToBeZero) {
  void* first = take(4);
  void* second = take(4);
  ASSERT_EQ(frame_of(first), frame_of(second));
  memset(first, 1, 4 * kGranuleBytes);
  const uint64_t returned = buddy_stats(ZoneKind::kSmall).returned_bytes;
  buddy_free(g_small_zone, first);
  EXPECT_EQ(buddy_free_bytes(ZoneKind::kSmall), 0U) << "none of it can go";
  buddy_least_free_bytes(ZoneKind::kSmall);
  EXPECT_EQ(buddy_least_free_bytes(ZoneKind::kSmall), 0U);
  EXPECT_EQ(Runs::free_dirty_bytes(g_small_zone, kNode), 4 * kGranuleBytes);
  EXPECT_EQ(buddy_release(0), 0U);
  EXPECT_EQ(buddy_reclaim_small(kEverything), 0U);
  EXPECT_EQ(buddy_release_zone(ZoneKind::kSmall, 0), 0U);
  // A slab's free blocks.
  EXPECT_FALSE(buddy_return_pages(g_small_zone, address_of(second), kGranuleBytes));
  EXPECT_EQ(buddy_stats(ZoneKind::kSmall).returned_bytes, returned);
  EXPECT_EQ(buddy_stats(ZoneKind::kSmall).free_dirty_granules, 4U);
  runs_.check_frames();
  bool zeroed = true;
  EXPECT_EQ(take(4, &zeroed), first);
  EXPECT_FALSE(zeroed);
  void* behind = take(4, &zeroed);
  EXPECT_TRUE(zeroed) << "nobody had it yet";
  EXPECT_EQ(frame_of(behind), frame_of(first));
  for (void* run : {first, second, behind}) buddy_free(g_small_zone, run);
}

TEST_F(BuddyHugetlb, WholeFrameGoesBackAndIsTriedAgain) {
  bool zeroed = false;
  void* run = take(kGranulesPerFrame, &zeroed);
  memset(run, 1, kFrameBytes);
  buddy_free(g_small_zone, run);
  EXPECT_EQ(buddy_free_bytes(ZoneKind::kSmall), kFrameBytes);
  EXPECT_EQ(hugetlb_frames(), 1U);
  EXPECT_EQ(buddy_release_zone(ZoneKind::kSmall, 0), kFrameBytes);
  EXPECT_EQ(hugetlb_frames(), 0U);
  EXPECT_FALSE(buddy_vm().is_mapped(address_of(run), kGranuleBytes));
  buddy_vm().fail(VmCall::kMapHugetlbAt, 1);
  EXPECT_EQ(take(kGranulesPerFrame, &zeroed), run);
  EXPECT_TRUE(zeroed);
  EXPECT_EQ(frame_of(run)->pages, FramePages::kDefault);
  buddy_free(g_small_zone, run);
  end_hugetlb_pause(g_small_zone, kNode);
  EXPECT_EQ(buddy_vm().calls(VmCall::kMapHugetlbAt), 2U);
}

// What the gauge counts is what can go: frames that empty go one after the other, down to what may
// stay.
TEST_F(BuddyHugetlb, EmptyFramesGoByThemselves) {
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(runs_.allocate(g_small_zone, kNode, 8));
  EXPECT_EQ(hugetlb_frames(), 10U);
  buddy_release(0);  // forgets what was regretted
  buddy_set_retain(kFrameBytes);
  // One run of each frame stays: nothing can go.
  for (size_t i = runs_.all().size(); i-- > 0;) {
    if (runs_.all()[i].first() != 0) runs_.free(i);
  }
  EXPECT_EQ(hugetlb_frames(), 10U);
  runs_.check();
  runs_.free_all();
  EXPECT_LT(hugetlb_frames(), 4U);
  EXPECT_GE(hugetlb_frames(), 1U);
}

// What torn frames hold is no reason to send away what may stay.
TEST_F(BuddyHugetlb, HeldMemoryDoesNotPressEmptyFramesOut) {
  constexpr size_t kFrames = 40;
  constexpr size_t kEmptied = 4;
  for (size_t i = 0; i < 4 * kFrames; ++i) {
    ASSERT_TRUE(runs_.allocate(g_small_zone, kNode, 8));
  }
  EXPECT_EQ(hugetlb_frames(), kFrames);
  buddy_release(0);  // forgets what was regretted
  buddy_set_retain(2 * kEmptied * kFrameBytes);
  std::set<size_t> emptied;
  for (const auto& run : runs_.all()) {
    if (emptied.size() < kEmptied) emptied.insert(run.frame());
  }
  const auto free_those = [&](bool in_emptied) {
    for (size_t i = runs_.all().size(); i-- > 0;) {
      const auto& run = runs_.all()[i];
      if (emptied.contains(run.frame()) == in_emptied && (in_emptied || run.first() != 0)) {
        runs_.free(i);
      }
    }
  };
  free_those(false);
  free_those(true);
  EXPECT_EQ(hugetlb_frames(), kFrames);
  EXPECT_EQ(Runs::releasable_bytes(g_small_zone, kNode), kEmptied * kFrameBytes);
}

TEST_F(BuddyHugetlb, RefusedUnmapLeavesItUsable) {
  void* run = take(1);
  memset(run, 1, kGranuleBytes);
  buddy_free(g_small_zone, run);
  buddy_vm().fail(VmCall::kUnmap, 1);
  EXPECT_EQ(buddy_release(0), 0U);
  bool zeroed = true;
  EXPECT_EQ(take(1, &zeroed), run);
  EXPECT_FALSE(zeroed);
  buddy_free(g_small_zone, run);
  EXPECT_EQ(buddy_release(0), kGranuleBytes);
}

// 512 frames in one page.
class BuddyGigantic : public BuddyHugetlb {
 protected:
  static constexpr size_t kFramesPerPage = kGiB / kFrameBytes;
  static constexpr size_t kLeastFrames = 512 * kMiB / kFrameBytes;

  void SetUp() override {
    if (EP_THREAD_SANITIZER) GTEST_SKIP() << "zones are too short there";
    BuddyHugetlb::SetUp();
    set_hugetlb("1G");
  }

  // The first frame of a new page, all those before it used.
  void* take_first_of_page() {
    void* run = take_whole();
    while (frame_of(run)->pages != FramePages::kGigantic) {
      if (whole_.size() > kLeastFrames + kFramesPerPage + zone_frames(g_small_zone)) return nullptr;
      run = take_whole();
    }
    return run;
  }
};

TEST_F(BuddyGigantic, PageServesItsFramesWithoutACall) {
  void* first = take_first_of_page();
  ASSERT_NE(first, nullptr);
  EXPECT_GT(whole_.size(), kLeastFrames) << "for a small heap";
  EXPECT_EQ(address_of(first) % kGiB, 0U);
  EXPECT_EQ(hugetlb_frames(), whole_.size() - 1 + kFramesPerPage);
  EXPECT_EQ(buddy_node_stats(kNode).frames, hugetlb_frames());
  buddy_vm().fail_nothing();  // counts anew
  for (size_t i = 1; i < kFramesPerPage; ++i) {
    EXPECT_EQ(address_of(take_whole()), address_of(first) + i * kFrameBytes);
  }
  for (const VmCall call : {VmCall::kMapAt, VmCall::kMapHugetlbAt, VmCall::kPopulate}) {
    EXPECT_EQ(buddy_vm().calls(call), 0U);
  }
  runs_.check_frames();
}

TEST_F(BuddyGigantic, SmallHeapAsksForNone) {
  ASSERT_NE(take_first_of_page(), nullptr);
  for (size_t i = 1; i < kFramesPerPage; ++i) take_whole();
  // The zone ends where a page could begin, and another node's heap of it is small.
  buddy_vm().fail(VmCall::kMapHugetlbAt, 1);
  bool zeroed = false;
  void* run = buddy_allocate(g_small_zone, NodeId{2}, 1, &zeroed);
  EXPECT_EQ(frame_of(run)->pages, FramePages::kDefault);
  EXPECT_EQ(buddy_vm().calls(VmCall::kMapHugetlbAt), 1U) << "for 2 MiB";
  buddy_free(g_small_zone, run);
}

TEST_F(BuddyGigantic, RefusedItFallsBackToSmallerOnes) {
  // Each call but those for 1 GiB is for one frame: the first that is not is refused.
  void* first = take_first_of_page();
  ASSERT_NE(first, nullptr);
  for (size_t i = 1; i < kFramesPerPage; ++i) take_whole();
  buddy_vm().fail(VmCall::kMapHugetlbAt, 1);
  EXPECT_EQ(frame_of(take_whole())->pages, FramePages::kHugetlb);
  EXPECT_EQ(buddy_vm().calls(VmCall::kMapHugetlbAt), 2U);
  take_whole();
  EXPECT_EQ(buddy_vm().calls(VmCall::kMapHugetlbAt), 3U) << "no page of 1 GiB begins here";
  runs_.check_frames();
}

TEST_F(BuddyGigantic, PromisedPageThatDoesNotComeLosesNoAddress) {
  ASSERT_NE(take_first_of_page(), nullptr);
  for (size_t i = 1; i < kFramesPerPage; ++i) take_whole();
  const size_t frames = zone_frames(g_small_zone);
  buddy_vm().fail(VmCall::kPopulate, 1);
  for (size_t i = 0; i < kFramesPerPage; ++i) {
    ASSERT_EQ(frame_of(take_whole())->pages, FramePages::kHugetlb);
  }
  EXPECT_EQ(zone_frames(g_small_zone), frames + kFramesPerPage);
  runs_.check_frames();
}

TEST_F(BuddyGigantic, GoesBackWholeOnATrimOnly) {
  void* first = take_first_of_page();
  ASSERT_NE(first, nullptr);
  const uintptr_t start = address_of(first);
  bool zeroed = false;
  void* inside = take(1, &zeroed);
  EXPECT_TRUE(zeroed);
  memset(inside, 1, kGranuleBytes);
  void* beside = take(1);
  buddy_free(g_small_zone, inside);
  free_whole();
  buddy_release(0);
  EXPECT_EQ(hugetlb_frames(), kFramesPerPage) << "one granule is used";
  EXPECT_TRUE(buddy_vm().is_mapped(start, kGiB));
  runs_.check_frames();
  EXPECT_EQ(take(1, &zeroed), inside);
  EXPECT_FALSE(zeroed);
  buddy_free(g_small_zone, inside);
  buddy_free(g_small_zone, beside);
  EXPECT_EQ(buddy_free_bytes(ZoneKind::kSmall), 0U);
  EXPECT_EQ(buddy_release_zone(ZoneKind::kSmall, 0), 0U);
  EXPECT_EQ(buddy_release(kGiB), 0U) << "so much may stay";
  EXPECT_TRUE(buddy_vm().is_mapped(start, kGiB));
  EXPECT_EQ(buddy_release(0), kFrameBytes + 2 * kGranuleBytes) << "what was dirty";
  EXPECT_EQ(buddy_vm().mapped_bytes_in(start, kGiB), 0U);
  EXPECT_EQ(buddy_node_stats(kNode).frames, 0U);
  runs_.check_frames();
  EXPECT_EQ(address_of(take_whole()), start) << "the addresses serve again";
}

}  // namespace
}  // namespace elasticpool::test
