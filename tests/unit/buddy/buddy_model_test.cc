// buddy/buddy.h against runs.h: long sequences of everything, in both zones; with usual frames, and
// with a hugetlb pool that has pages at one time and none at another.
#include <gtest/gtest.h>

#include <random>
#include <tuple>

#include "runs.h"

namespace elasticpool::test {
namespace {

constexpr NodeId kNode{0};
constexpr size_t kEverything = SIZE_MAX / 2;

class BuddyModel : public testing::TestWithParam<std::tuple<unsigned, bool>> {
 protected:
  void SetUp() override {
    buddy_vm().fail_nothing();
    buddy_set_retain(16 * kMiB);
    set_hugetlb(hugetlb_ ? "2M" : "off");
  }
  void TearDown() override {
    runs_.free_all();
    buddy_release(0);
    runs_.check();
    set_hugetlb("off");
  }

  size_t random_index() { return random_() % runs_.all().size(); }

  void allocate() {
    // Small ones most often.
    const size_t granules = 1 + random_() % (size_t{1} << (random_() % 6));
    Zone& zone = random_() % 2 == 0 ? g_small_zone : g_medium_zone;
    EXPECT_TRUE(runs_.allocate(zone, kNode, granules));
  }

  void allocate_block() {
    const size_t bytes = 1 + random_() % (size_t{1} << (15 + random_() % 6));
    const size_t align_bytes = size_t{1} << (random_() % 21);
    EXPECT_TRUE(runs_.allocate_block(kNode, bytes, align_bytes));
  }

  void free_one() { runs_.free(random_index()); }

  void resize_one() {
    const size_t index = random_index();
    if (!runs_.all()[index].is_block) return;
    runs_.resize(index, 1 + random_() % kBuddyBytesMax);
  }

  void release() {
    const size_t keep_bytes = random_() % 3 == 0 ? 0 : random_() % (8 * kMiB);
    const uint64_t before = buddy_stats(ZoneKind::kSmall).returned_bytes +
                            buddy_stats(ZoneKind::kMedium).returned_bytes;
    const size_t returned = buddy_release(keep_bytes);
    EXPECT_EQ(buddy_stats(ZoneKind::kSmall).returned_bytes +
                  buddy_stats(ZoneKind::kMedium).returned_bytes - before,
              returned);
    for (const Zone* zone : {&g_tiny_zone, &g_small_zone, &g_medium_zone}) {
      EXPECT_LE(Runs::releasable_bytes(*zone, kNode), keep_bytes);
    }
  }

  void step(size_t runs_wanted) {
    const auto action = random_() % 100;
    if (action < 2) {
      release();
      if (random_() % 2 == 0) {
        buddy_vm().fail_nothing();
      } else {
        buddy_vm().fail(VmCall::kMapHugetlbAt, 1 + random_() % 4, FakeVm::kFromThereOn);
      }
    } else if (action < 3) {
      buddy_set_retain(random_() % 4 == 0 ? kEverything : random_() % (16 * kMiB));
    } else if (action < 15 && !runs_.empty()) {
      resize_one();
    } else if (runs_.all().size() > random_() % (2 * runs_wanted)) {
      free_one();
    } else if (action % 2 == 0) {
      allocate();
    } else {
      allocate_block();
    }
  }

  const unsigned seed_ = std::get<0>(GetParam());
  const bool hugetlb_ = std::get<1>(GetParam());
  std::mt19937 random_{seed_};
  Runs runs_;
};

INSTANTIATE_TEST_SUITE_P(Seeds, BuddyModel,
                         testing::Combine(testing::Range(1U, 5U), testing::Bool()));

TEST_P(BuddyModel, AnySequence) {
  for (int i = 0; i < 2000; ++i) {
    // The number of runs breathes, so that frames come and go.
    step(i / 250 % 2 == 0 ? 40 : 5);
    if (i % 8 == 0) runs_.check();
    if (HasFailure()) FAIL() << "seed " << seed_ << ", step " << i;
  }
}

}  // namespace
}  // namespace elasticpool::test
