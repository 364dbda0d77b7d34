// From where consumers look again, without the rest of them.
#include "ring/settled.h"

#include "ring_fixture.h"

namespace elasticpool {
namespace {

// Two consumers of a group, at the first two places.
class RingSettled : public test::Ring {
 protected:
  static constexpr uint64_t kBoth = 3;

  void SetUp() override { open(1024); }
  uint32_t epoch() { return group().epoch.load_relaxed(); }
  Region& region() { return *reinterpret_cast<Region*>(ring_); }
  GroupRecord& group() { return region().group(0); }
  Settled consumer(uint32_t place) { return {region(), group(), region().member(place)}; }
  uint64_t settled_of(uint32_t place) { return region().member(place).settled.load_relaxed(); }
};

TEST_F(RingSettled, IsTheLookBeforeTheLastOne) {
  Settled one = consumer(0);
  one.look_again_from(1, 0, kBoth, epoch());
  one.tell(100, 100, 0);
  EXPECT_EQ(settled_of(0), 0U);
  one.tell(120, 120, 0);  // too near to be worth it
  EXPECT_EQ(settled_of(0), 0U);
  one.tell(200, 200, 0);
  EXPECT_EQ(settled_of(0), 100U);
  one.tell(300, 300, 0);
  EXPECT_EQ(settled_of(0), 200U);
}

TEST_F(RingSettled, StopsAtWhatIsInItsWork) {
  Settled one = consumer(0);
  one.look_again_from(1, 0, kBoth, epoch());
  one.claimed(10);
  one.claimed(11);
  one.tell(100, 100, 0);
  one.given_up(11);
  one.claimed(150);
  one.tell(200, 200, 0);
  EXPECT_EQ(settled_of(0), 0U);
  // Late, and before the mark.
  one.claimed(50);
  one.given_up(10);
  one.tell(300, 300, 0);
  EXPECT_EQ(settled_of(0), 0U);
  one.given_up(50);
  one.tell(300, 300, 0);
  EXPECT_EQ(settled_of(0), 100U);
  one.tell(400, 400, 0);
  EXPECT_EQ(settled_of(0), 100U);
  one.given_up(150);
  one.tell(400, 400, 0);
  EXPECT_EQ(settled_of(0), 300U);
}

TEST_F(RingSettled, StopsAtWhatWasSkipped) {
  Settled one = consumer(0);
  one.look_again_from(1, 0, kBoth, epoch());
  one.tell(100, 100, 0);
  one.tell(200, 40, 0);
  EXPECT_EQ(settled_of(0), 40U);
  EXPECT_EQ(one.look_again_from(1, 60, kBoth, epoch()), 60U);
}

TEST_F(RingSettled, HoldsForAllUntilAReturn) {
  Settled one = consumer(0);
  Settled other = consumer(1);
  EXPECT_EQ(one.look_again_from(1, 0, kBoth, epoch()), 1U);
  one.tell(100, 100, 0);
  one.tell(200, 200, 0);
  EXPECT_EQ(other.look_again_from(1, 0, kBoth, epoch()), 100U);
  EXPECT_EQ(other.look_again_from(1, 0, 2, epoch()), 1U);  // the first is no member any more
  EXPECT_EQ(other.look_again_from(150, 0, kBoth, epoch()), 150U);
  EXPECT_EQ(one.look_again_from(1, 180, kBoth, epoch()), 180U);
  count_return(group());
  EXPECT_EQ(other.look_again_from(1, 180, kBoth, epoch()), 1U);
  EXPECT_EQ(one.look_again_from(1, 180, kBoth, epoch()), 1U);
  EXPECT_EQ(settled_of(0), 0U);
  // And again from then on, once it has seen everything behind the return.
  one.tell(150, 150, 0);
  EXPECT_EQ(settled_of(0), 0U);
  one.tell(300, 300, 0);
  EXPECT_EQ(settled_of(0), 200U);
  EXPECT_EQ(other.look_again_from(1, 0, kBoth, epoch()), 200U);
}

// It looks at everything again, with messages in work that it will come to.
TEST_F(RingSettled, GoesOnBehindWhatItHasInWork) {
  Settled one = consumer(0);
  one.look_again_from(1, 0, kBoth, epoch());
  one.claimed(300);
  count_return(group());
  one.look_again_from(1, 0, kBoth, epoch());
  one.tell(100, 100, 301);
  one.tell(200, 200, 301);
  EXPECT_EQ(settled_of(0), 0U);
  one.given_up(300);
  one.tell(400, 400, 301);
  one.tell(500, 500, 301);
  EXPECT_EQ(settled_of(0), 400U);
}

// Members left and came meanwhile: it may have read what somebody says of another group.
TEST_F(RingSettled, IsNotBelievedBehindAnotherEpoch) {
  Settled one = consumer(0);
  Settled other = consumer(1);
  one.look_again_from(1, 0, kBoth, epoch());
  one.tell(100, 100, 0);
  one.tell(200, 200, 0);
  EXPECT_EQ(other.look_again_from(1, 0, kBoth, epoch() - 1), 1U);
  EXPECT_EQ(other.look_again_from(1, 50, kBoth, epoch() - 1), 50U);
  EXPECT_EQ(other.look_again_from(1, 50, kBoth, epoch()), 100U);
}

TEST_F(RingSettled, IsNotBelievedOutsideTheRing) {
  Settled one = consumer(0);
  Settled other = consumer(1);
  one.look_again_from(1, 0, kBoth, epoch());
  region().member(0).settled.store_relaxed(2000);
  EXPECT_EQ(other.look_again_from(1, 0, kBoth, epoch()), 1U);
  EXPECT_EQ(other.look_again_from(1, 0, UINT64_MAX, epoch()), 1U);
  region().member(0).settled.store_relaxed(1000);
  EXPECT_EQ(other.look_again_from(1, 0, kBoth, epoch()), 1000U);
}

}  // namespace
}  // namespace elasticpool
