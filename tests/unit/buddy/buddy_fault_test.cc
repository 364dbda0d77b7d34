// buddy/buddy.h while the system refuses: one sequence again and again, another call refused each
// time. Nothing may be lost, and all must go on.
#include <gtest/gtest.h>

#include <ostream>
#include <random>

#include "runs.h"

namespace elasticpool::test {
namespace {

constexpr unsigned kSeed = 404;
constexpr size_t kRetainBytes = 512 * kKiB;

struct Refusal {
  const char* name;
  VmCall call;
  uint64_t count;
  MapStatus how;
  bool hugetlb = false;  // with a pool
};

void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

class BuddyFault : public testing::TestWithParam<Refusal> {
 protected:
  void SetUp() override {
    buddy_vm().fail_nothing();
    buddy_set_retain(kRetainBytes);
    set_hugetlb(GetParam().hugetlb ? "2M" : "off");
  }
  void TearDown() override { set_hugetlb("off"); }

  // Frames are taken, emptied and unmapped many times on the way.
  static size_t churn(Runs& runs) {
    std::mt19937 random(kSeed);
    size_t refused = 0;
    for (int i = 0; i < 100; ++i) {
      const auto action = random() % 8;
      Zone& zone = random() % 2 == 0 ? g_small_zone : g_medium_zone;
      const size_t granules = 1 + random() % 12;
      if (i / 20 % 2 == 1 && !runs.empty()) {
        runs.free(random() % runs.all().size());
      } else if (action < 6) {
        refused += !runs.allocate(zone, NodeId{0}, granules);
      } else {
        refused += !runs.allocate_block(NodeId{0}, granules * 64 * kKiB, 1);
      }
      if (action == 0) buddy_release(random() % (512 * kKiB));
    }
    return refused;
  }

  // Whether the k-th call was made at all.
  static bool churn_refusing(const Refusal& refusal, uint64_t k) {
    Runs runs;
    buddy_vm().fail(refusal.call, k, refusal.count, refusal.how);
    const size_t refused = churn(runs);
    const bool was_made = buddy_vm().calls(refusal.call) >= k;
    if (!was_made) {
      EXPECT_EQ(refused, 0U) << "refused without need";
    }
    runs.check();
    buddy_vm().fail_nothing();
    // The system gives again: so do we, and all of it can go back.
    EXPECT_TRUE(runs.allocate(g_small_zone, NodeId{0}, 32));
    EXPECT_TRUE(runs.allocate_block(NodeId{0}, kMiB, kMiB));
    runs.free_all();
    if (refusal.hugetlb) {
      for (Zone* zone : {&g_small_zone, &g_medium_zone}) end_hugetlb_pause(*zone, NodeId{0});
    }
    buddy_release(0);
    runs.check();
    for (const Zone* zone : {&g_tiny_zone, &g_small_zone, &g_medium_zone}) {
      EXPECT_EQ(Runs::free_dirty_bytes(*zone, NodeId{0}), 0U);
    }
    return was_made;
  }
};

INSTANTIATE_TEST_SUITE_P(
    Calls, BuddyFault,
    testing::Values(
        Refusal{"map_no_memory", VmCall::kMapAt, 1, MapStatus::kNoMemory},
        Refusal{"map_taken", VmCall::kMapAt, 1, MapStatus::kTaken},
        Refusal{"map_never", VmCall::kMapAt, FakeVm::kFromThereOn, MapStatus::kNoMemory},
        Refusal{"unmap", VmCall::kUnmap, 1, MapStatus::kNoMemory},
        Refusal{"unmap_never", VmCall::kUnmap, FakeVm::kFromThereOn, MapStatus::kNoMemory},
        Refusal{"decommit", VmCall::kDecommit, 1, MapStatus::kNoMemory},
        Refusal{"decommit_never", VmCall::kDecommit, FakeVm::kFromThereOn, MapStatus::kNoMemory},
        Refusal{"hugetlb_none", VmCall::kMapHugetlbAt, 1, MapStatus::kNoMemory, true},
        Refusal{"hugetlb_taken", VmCall::kMapHugetlbAt, 1, MapStatus::kTaken, true},
        Refusal{"hugetlb_never", VmCall::kMapHugetlbAt, FakeVm::kFromThereOn, MapStatus::kNoMemory,
                true},
        Refusal{"hugetlb_populate", VmCall::kPopulate, 1, MapStatus::kNoMemory, true},
        Refusal{"hugetlb_unmap", VmCall::kUnmap, 1, MapStatus::kNoMemory, true},
        Refusal{"hugetlb_unmap_never", VmCall::kUnmap, FakeVm::kFromThereOn, MapStatus::kNoMemory,
                true}),
    [](const auto& refusal) { return refusal.param.name; });

TEST_P(BuddyFault, AtEveryCall) {
  uint64_t k = 1;
  while (churn_refusing(GetParam(), k)) {
    if (HasFailure()) FAIL() << GetParam().name << ", call " << k << ", seed " << kSeed;
    ++k;
  }
  EXPECT_GT(k, 5U) << "the sequence makes too few of these calls";
}

}  // namespace
}  // namespace elasticpool::test
