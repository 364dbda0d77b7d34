// A publisher is stopped at each step, and others go on for laps meanwhile (order_fixture.h).
#include "order_fixture.h"

namespace {

using namespace order;

class PublishOrder : public OrderFixture {
 protected:
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

}  // namespace
