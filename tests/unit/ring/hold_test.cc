// What a consumer keeps beyond the acknowledgement, and what is dropped under its hands.
#include "ring_fixture.h"

namespace {

class RingHold : public elasticpool::test::Ring {
 protected:
  // Beside a full ring: it is there, until it is acknowledged.
  void expect_kept_until(ep_ring_consumer* consumer, const ep_ring_message& message) {
    EXPECT_EQ(pool_used(), (64U + 1U) * 64U);
    EXPECT_EQ(ep_ring_ack(consumer, &message), EP_RING_GONE);
    EXPECT_EQ(pool_used(), 64U * 64U);
  }
};

TEST_F(RingHold, HeldBytesOutliveTheirMessage) {
  open();
  ep_ring_consumer* consumer = join("group");
  ASSERT_EQ(publish(7), EP_RING_OK);
  ep_ring_message held;
  ASSERT_EQ(ep_ring_get(consumer, 0, &held), EP_RING_OK);
  ASSERT_EQ(ep_ring_hold(consumer, &held), EP_RING_OK);
  ASSERT_EQ(ep_ring_ack(consumer, &held), EP_RING_OK);
  for (uint32_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(publish(i), EP_RING_OK);
    ASSERT_EQ(take(consumer), i);
  }
  EXPECT_EQ(value_of(held), 7U);
  EXPECT_EQ(ep_ring_unhold(consumer, &held), EP_RING_OK);
  EXPECT_EQ(ep_ring_unhold(consumer, &held), EP_RING_GONE);
}

// Its publishers do not wait for who is slow: what that is busy with it may finish, and is told.
TEST_F(RingHold, AGroupThatDropsTakesAlsoWhatIsInWork) {
  open();
  ep_ring_consumer* consumer = join_dropping();
  publish_many(3);
  ep_ring_message first;
  ep_ring_message held;
  ASSERT_EQ(ep_ring_get(consumer, 0, &first), EP_RING_OK);
  ASSERT_EQ(ep_ring_get(consumer, 0, &held), EP_RING_OK);
  ASSERT_EQ(ep_ring_hold(consumer, &held), EP_RING_OK);
  publish_many(300);
  EXPECT_EQ(pool_used(), (64U + 2U) * 64U);
  EXPECT_EQ(value_of(first), 0U);
  EXPECT_EQ(ep_ring_hold(consumer, &first), EP_RING_GONE);
  EXPECT_EQ(ep_ring_ack(consumer, &first), EP_RING_GONE);
  EXPECT_EQ(pool_used(), (64U + 1U) * 64U);
  EXPECT_EQ(ep_ring_release(consumer, &held), EP_RING_GONE);
  EXPECT_EQ(value_of(held), 1U);
  EXPECT_EQ(ep_ring_unhold(consumer, &held), EP_RING_OK);
  EXPECT_EQ(pool_used(), 64U * 64U);
  ep_ring_group_stat stat;
  ASSERT_TRUE(ep_ring_read_group(ring_, 0, &stat));
  EXPECT_EQ(stat.dropped, 303U - 64U);
  EXPECT_EQ(take(consumer), 300 - 64);
  EXPECT_EQ(ep_ring_check(ring_, nullptr, nullptr), 0U);
}

TEST_F(RingHold, WhatWasDroppedInWorkIsThereUntilItIsGivenUp) {
  open();
  ep_ring_consumer* consumer = join_dropping();
  publish_many(2);
  ep_ring_message message;
  ASSERT_EQ(ep_ring_get(consumer, 0, &message), EP_RING_OK);
  ASSERT_EQ(ep_ring_hold(consumer, &message), EP_RING_OK);
  publish_many(100);
  // Held no more, and in work all the same.
  EXPECT_EQ(ep_ring_unhold(consumer, &message), EP_RING_OK);
  publish_many(1000);
  EXPECT_EQ(pool_used(), (64U + 1U) * 64U);
  EXPECT_EQ(value_of(message), 0U);
  EXPECT_EQ(ep_ring_ack(consumer, &message), EP_RING_GONE);
  EXPECT_EQ(pool_used(), 64U * 64U);
  // Left in work when its consumer leaves.
  ASSERT_EQ(ep_ring_get(consumer, 0, &message), EP_RING_OK);
  publish_many(100);
  EXPECT_EQ(value_of(message), 1000U - 64U);
  leave(consumer);
  ASSERT_EQ(ep_ring_cleanup_before(ring_, UINT64_MAX), EP_RING_OK);
  EXPECT_EQ(pool_used(), 0U);
  EXPECT_EQ(ep_ring_check(ring_, nullptr, nullptr), 0U);
}

// Let go before it was given up, and delivered to the same consumer again.
TEST_F(RingHold, WhatIsHeldNoMoreGoesWhenItIsGivenUp) {
  open();
  ep_ring_consumer* consumer = join("group", "worker");
  publish_many(2);
  ep_ring_message message;
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(ep_ring_get(consumer, 0, &message), EP_RING_OK);
    ASSERT_EQ(ep_ring_hold(consumer, &message), EP_RING_OK);
  }
  EXPECT_EQ(ep_ring_unhold(consumer, &message), EP_RING_OK);
  EXPECT_EQ(ep_ring_unhold(consumer, &message), EP_RING_GONE);
  uint64_t sequence = 0;
  ASSERT_EQ(ep_ring_recover(consumer, &sequence), EP_RING_OK);
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(ep_ring_get(consumer, 0, &message), EP_RING_OK);
    EXPECT_EQ(message.deliveries, 2U);
    ASSERT_EQ(ep_ring_ack(consumer, &message), EP_RING_OK);
  }
  ASSERT_EQ(ep_ring_cleanup_before(ring_, UINT64_MAX), EP_RING_OK);
  EXPECT_EQ(pool_used(), 64U) << "the one that is still held";
}

// Not held: nothing of it is let go.
TEST_F(RingHold, UnholdOfWhatWasNotHeldIsRefused) {
  open();
  ep_ring_consumer* consumer = join_dropping();
  publish_many(1);
  ep_ring_message message;
  ASSERT_EQ(ep_ring_get(consumer, 0, &message), EP_RING_OK);
  publish_many(100);
  EXPECT_EQ(ep_ring_hold(consumer, &message), EP_RING_GONE);
  EXPECT_EQ(ep_ring_unhold(consumer, &message), EP_RING_GONE);
  expect_kept_until(consumer, message);
}

TEST_F(RingHold, AnEarlierDeliveryGivesNothingUp) {
  open();
  ep_ring_consumer* consumer = join_dropping();
  publish_many(1);
  ep_ring_message first;
  ep_ring_message again;
  ASSERT_EQ(ep_ring_get(consumer, 0, &first), EP_RING_OK);
  ASSERT_EQ(ep_ring_release(consumer, &first), EP_RING_OK);
  ASSERT_EQ(ep_ring_get(consumer, 0, &again), EP_RING_OK);
  ASSERT_EQ(again.sequence, first.sequence);
  publish_many(100);
  EXPECT_EQ(ep_ring_ack(consumer, &first), EP_RING_GONE);
  expect_kept_until(consumer, again);
}

// Who begins again has nothing in work: neither what was dropped before nor what is dropped after.
TEST_F(RingHold, WhatIsRecoveredIsGivenUp) {
  open();
  ep_ring_consumer* consumer = join_dropping();
  ep_ring_message held;
  for (int round = 0; round < 10; ++round) {
    publish_many(2);
    ep_ring_message message;
    uint64_t sequence = 0;
    ASSERT_EQ(ep_ring_get(consumer, 0, &held), EP_RING_OK);
    ASSERT_EQ(ep_ring_hold(consumer, &held), EP_RING_OK);
    ASSERT_EQ(ep_ring_recover(consumer, &sequence), EP_RING_OK);
    publish_many(100);
    ASSERT_EQ(ep_ring_unhold(consumer, &held), EP_RING_OK);
    ASSERT_EQ(ep_ring_get(consumer, 0, &message), EP_RING_OK);
    publish_many(100);
    ASSERT_EQ(ep_ring_recover(consumer, &sequence), EP_RING_OK);
    EXPECT_EQ(pool_used(), 64U * 64U);
    while (take(consumer) >= 0) continue;
  }
}

// Many at once, held and dropped in work.
TEST_F(RingHold, ManyAreHeldAndDropped) {
  open(256);
  ep_ring_consumer* consumer = join_dropping();
  publish_many(200);
  std::vector<ep_ring_message> messages(200);
  for (ep_ring_message& message : messages) {
    ASSERT_EQ(ep_ring_get(consumer, 0, &message), EP_RING_OK);
    ASSERT_EQ(ep_ring_hold(consumer, &message), EP_RING_OK);
  }
  publish_many(600);
  for (uint32_t i = 0; i < 200; ++i) EXPECT_EQ(ep_ring_unhold(consumer, &messages[i]), EP_RING_OK);
  EXPECT_EQ(pool_used(), (256U + 200U) * 64U);
  for (uint32_t i = 0; i < 200; ++i) {
    EXPECT_EQ(value_of(messages[i]), i);
    EXPECT_EQ(ep_ring_ack(consumer, &messages[i]), EP_RING_GONE);
  }
  EXPECT_EQ(pool_used(), 256U * 64U);
}

TEST_F(RingHold, ManyAreHeld) {
  open(256);
  ep_ring_consumer* consumer = join("group");
  publish_many(200);
  std::vector<ep_ring_message> messages(200);
  for (ep_ring_message& message : messages) {
    ASSERT_EQ(ep_ring_get(consumer, 0, &message), EP_RING_OK);
    ASSERT_EQ(ep_ring_hold(consumer, &message), EP_RING_OK);
    ASSERT_EQ(ep_ring_ack(consumer, &message), EP_RING_OK);
  }
  for (uint32_t i = 0; i < 200; i += 2) {
    EXPECT_EQ(value_of(messages[i]), i);
    EXPECT_EQ(ep_ring_unhold(consumer, &messages[i]), EP_RING_OK);
  }
  ASSERT_EQ(ep_ring_cleanup_before(ring_, UINT64_MAX), EP_RING_OK);
  EXPECT_EQ(pool_used(), 100U * 64U);
  leave(consumer);
  EXPECT_EQ(pool_used(), 0U);
}

}  // namespace
