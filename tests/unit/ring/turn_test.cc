// Turns are hints: who goes first, and that nobody relies on it.
#include "ring/turn.h"

#include <gtest/gtest.h>

#include "include/elasticpool/ring.h"
#include "ring/region.h"

namespace elasticpool {
namespace {

class TurnOfTwo : public testing::Test {
 protected:
  void SetUp() override { word_.store_relaxed(0); }
  SharedU32 word_;
  Turn one_{word_, make_tag(3, 7)};
  Turn other_{word_, make_tag(4, 1)};
};

TEST_F(TurnOfTwo, OneHasItUntilItIsGiven) {
  EXPECT_TRUE(one_.take());
  EXPECT_FALSE(other_.take());
  other_.give();
  EXPECT_TRUE(one_.is_taken());
  one_.give();
  EXPECT_TRUE(other_.take());
}

TEST_F(TurnOfTwo, WhoComesBackDoesNotGiveWhatWasTakenOver) {
  ASSERT_TRUE(one_.take());
  other_.take_over();
  one_.give();
  EXPECT_TRUE(other_.is_taken());
  EXPECT_FALSE(one_.take());
  other_.give();
  EXPECT_FALSE(one_.is_taken());
}

// Whoever had both turns is gone.
class StaleTurns : public testing::Test {
 protected:
  static constexpr size_t kBatch = 32;
  static constexpr uint32_t kSlots = 1 << 14;

  void SetUp() override {
    ep_ring_options options;
    ep_ring_options_init(&options);
    options.slots = kSlots;
    ASSERT_EQ(ep_ring_create(nullptr, &options, &ring_), EP_RING_OK);
    ASSERT_EQ(ep_ring_producer_open(ring_, &producer_), EP_RING_OK);
    ep_ring_consumer_options consumer_options = {};
    consumer_options.group = "work";
    ASSERT_EQ(ep_ring_consumer_open(ring_, &consumer_options, &consumer_), EP_RING_OK);
    // One of a million: not one of those that have handles here.
    header().head_turn.store_relaxed(1 << 20);
    header().tail_turn.store_relaxed(1 << 20);
  }
  void TearDown() override {
    ep_ring_consumer_close(consumer_, nullptr);
    ep_ring_producer_close(producer_);
    ep_ring_detach(ring_);
  }
  RegionHeader& header() { return reinterpret_cast<Region*>(ring_)->header(); }
  void pass_on(size_t batches) {
    for (size_t n = 0; n < batches; ++n) {
      ep_ring_buffer buffers[kBatch];
      for (ep_ring_buffer& buffer : buffers) {
        ASSERT_EQ(ep_ring_reserve(producer_, 64, 0, &buffer), EP_RING_OK);
      }
      size_t count = 0;
      ASSERT_EQ(ep_ring_publish_batch(producer_, buffers, kBatch, nullptr, 0, &count), EP_RING_OK);
      ep_ring_message messages[kBatch];
      ASSERT_EQ(ep_ring_get_batch(consumer_, 0, messages, kBatch, &count), EP_RING_OK);
      ASSERT_EQ(count, kBatch);
      ASSERT_EQ(ep_ring_ack_batch(consumer_, messages, count), EP_RING_OK);
    }
  }

  ep_ring* ring_ = nullptr;
  ep_ring_producer* producer_ = nullptr;
  ep_ring_consumer* consumer_ = nullptr;
};

TEST_F(StaleTurns, ABatchTakesTheTurnOver) {
  pass_on(1);
  EXPECT_EQ(header().tail_turn.load_relaxed(), 0U);
}

// Long before the ring is full.
TEST_F(StaleTurns, MessagesAreTakenOutAllTheSame) {
  pass_on(100);
  EXPECT_EQ(header().head_turn.load_relaxed(), 0U);
  EXPECT_GT(header().head.load_relaxed(), 3000U);
}

}  // namespace
}  // namespace elasticpool
