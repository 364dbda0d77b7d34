// base/reclaimer.h: who is asked, in which order, for how much.
#include "base/reclaimer.h"

#include <gtest/gtest.h>

#include <vector>

namespace elasticpool {
namespace {

struct Request {
  Reclaimer who;
  size_t wanted_bytes;
  bool operator==(const Request&) const = default;
};

std::vector<Request> g_requests;

// Each has this much to give.
constexpr size_t kSmallHas = 30;
constexpr size_t kMediumHas = 50;
constexpr size_t kExtentsHave = 20;

template <Reclaimer kWho, size_t kBytes>
size_t give(size_t wanted_bytes) {
  g_requests.push_back({kWho, wanted_bytes});
  return kBytes;
}

class ReclaimerTest : public testing::Test {
 protected:
  void SetUp() override {
    g_requests.clear();
    set_reclaimer(Reclaimer::kSmallFrames, give<Reclaimer::kSmallFrames, kSmallHas>);
    set_reclaimer(Reclaimer::kMediumFrames, give<Reclaimer::kMediumFrames, kMediumHas>);
    set_reclaimer(Reclaimer::kExtents, give<Reclaimer::kExtents, kExtentsHave>);
  }
  void TearDown() override {
    for (size_t i = 0; i < kReclaimers; ++i) set_reclaimer(static_cast<Reclaimer>(i), nullptr);
  }
};

using Requests = std::vector<Request>;

TEST_F(ReclaimerTest, AsksOthersForTheRest) {
  EXPECT_EQ(reclaim_from_others(Reclaimer::kExtents, 100), kSmallHas + kMediumHas);
  EXPECT_EQ(g_requests, (Requests{{Reclaimer::kSmallFrames, 100}, {Reclaimer::kMediumFrames, 70}}));
  g_requests.clear();
  EXPECT_EQ(reclaim_from_others(Reclaimer::kSmallFrames, 60), kMediumHas + kExtentsHave);
  EXPECT_EQ(g_requests, (Requests{{Reclaimer::kMediumFrames, 60}, {Reclaimer::kExtents, 10}}));
}

TEST_F(ReclaimerTest, StopsWhenItIsEnough) {
  EXPECT_EQ(reclaim_from_others(Reclaimer::kExtents, kSmallHas), kSmallHas);
  EXPECT_EQ(g_requests, (Requests{{Reclaimer::kSmallFrames, kSmallHas}}));
  EXPECT_EQ(reclaim_from_others(Reclaimer::kExtents, 0), 0U);
  EXPECT_EQ(g_requests.size(), 1U);
}

TEST_F(ReclaimerTest, SomeoneMayBeMissing) {
  set_reclaimer(Reclaimer::kMediumFrames, nullptr);
  EXPECT_EQ(reclaim_from_others(Reclaimer::kSmallFrames, 100), kExtentsHave);
  EXPECT_EQ(g_requests, (Requests{{Reclaimer::kExtents, 100}}));
}

}  // namespace
}  // namespace elasticpool
