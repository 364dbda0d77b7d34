// A publisher is stopped at each step, and others go on for laps meanwhile (order_fixture.h).
#include "order_fixture.h"

namespace {

using namespace order;

class PublishOrder : public OrderFixture {
 protected:
  std::function<void()> again_;

  // False: the ring is full.
  bool publish_as(ep_ring_producer* other) {
    ep_ring_buffer buffer;
    EXPECT_EQ(ep_ring_reserve(other, 64, 0, &buffer), EP_RING_OK);
    const int error = ep_ring_publish(other, &buffer, nullptr, 0, nullptr);
    if (error == EP_RING_OK) return true;
    EXPECT_EQ(error, EP_RING_FULL);
    EXPECT_EQ(ep_ring_discard(other, &buffer), EP_RING_OK);
    return false;
  }
};

// Who comes back after laps stores nothing older than what is there: with the tail behind by
// more laps than a publisher looks through, the next one to publish said that the ring is damaged.
TEST_F(PublishOrder, TheTailNeverGoesBack) {
  constexpr uint64_t kMeanwhile = uint64_t{8} * kSlots;
  ep_ring_producer* other = nullptr;
  ASSERT_EQ(ep_ring_producer_open(ring, &other), EP_RING_OK);
  uint64_t published = 0;
  uint32_t laps_behind = 0;
  at_every_step([&](uint32_t step) {
    const std::string when = "step " + std::to_string(step);
    // No further than to a slot that is claimed: who is stopped there is waited for.
    const auto meanwhile = [&] {
      const uint64_t before = published;
      while (published - before < kMeanwhile && publish_as(other)) ++published;
      if (published - before == kMeanwhile) ++laps_behind;
    };
    const bool is_over = interrupt(step, meanwhile, [&] { publish(0); });
    ++published;
    ep_ring_stat stat;
    ep_ring_read_stat(ring, &stat);
    EXPECT_EQ(stat.tail_sequence, published + 1) << when;
    publish(0);
    ++published;
    ep_ring_read_stat(ring, &stat);
    EXPECT_EQ(stat.tail_sequence, published + 1) << when;
    return is_over || HasFailure();
  });
  EXPECT_GT(laps_behind, 4U);
  ep_ring_producer_close(other);
  expect_empty("at the end");
}

// Consumers may empty the slots of a batch that is under way, so that it never finds the ring full
// and says nothing of itself for laps; who publishes meanwhile finds its way all the same.
TEST_F(PublishOrder, ABatchOfManyLaps) {
  constexpr size_t kBatch = size_t{8} * kSlots;
  constexpr uint32_t kStepsBetween = 100;
  ep_ring_producer* other = nullptr;
  ASSERT_EQ(ep_ring_producer_open(ring, &other), EP_RING_OK);
  ep_ring_consumer* consumer = join("c");
  std::vector<ep_ring_buffer> buffers(kBatch);
  for (ep_ring_buffer& buffer : buffers) {
    ASSERT_EQ(ep_ring_reserve(producer, 64, 0, &buffer), EP_RING_OK);
  }
  ep_ring_buffer meanwhile;
  ASSERT_EQ(ep_ring_reserve(other, 64, 0, &meanwhile), EP_RING_OK);

  uint64_t taken = 0;
  bool is_published = false;
  std::function<void()> act = [&] {
    ep_ring_message message;
    while (ep_ring_get(consumer, 0, &message) == EP_RING_OK) {
      ++taken;
      ASSERT_EQ(ep_ring_ack(consumer, &message), EP_RING_OK);
      ASSERT_EQ(ep_ring_checkpoint(consumer, message.sequence), EP_RING_OK);
    }
    if (taken > 6 * kSlots && !is_published) {
      EXPECT_EQ(ep_ring_publish(other, &meanwhile, nullptr, 0, nullptr), EP_RING_OK);
      is_published = true;
    }
    in_between = &again_;
    steps_left = kStepsBetween;
  };
  again_ = act;
  size_t published = 0;
  EXPECT_TRUE(interrupt(UINT32_MAX, act, [&] {
    steps_left = kStepsBetween;
    EXPECT_EQ(ep_ring_publish_batch(producer, buffers.data(), kBatch, nullptr, 0, &published),
              EP_RING_OK);
  }));
  EXPECT_EQ(published, kBatch);
  EXPECT_TRUE(is_published);
  take_all(consumer, nullptr);
  ep_ring_consumer_close(consumer, nullptr);
  ep_ring_producer_close(other);
  EXPECT_EQ(ep_ring_group_remove(ring, "g"), EP_RING_OK);
  expect_empty("at the end");
}

}  // namespace
