// A message dropped under its consumer's hands, with something else at each step of that
// (order_fixture.h).
#include "order_fixture.h"
#include "ring/region.h"

namespace {

using namespace order;

class DropOrder : public OrderFixture {
 protected:
  ep_ring_consumer* join_dropping() {
    ep_ring_consumer_options options{};
    options.group = "dropping";
    options.group_options.policy = EP_RING_DROP_OLDEST;
    ep_ring_consumer* consumer = nullptr;
    EXPECT_EQ(ep_ring_consumer_open(ring, &options, &consumer), EP_RING_OK);
    return consumer;
  }
  // All of the ring is in use, and its first message in work.
  ep_ring_consumer* join_busy(ep_ring_message* in_work) {
    ep_ring_consumer* consumer = join_dropping();
    for (uint32_t i = 0; i < kSlots; ++i) publish(0);
    EXPECT_EQ(ep_ring_get(consumer, 0, in_work), EP_RING_OK);
    return consumer;
  }
  void leave_dropping(ep_ring_consumer* consumer) {
    ep_ring_consumer_close(consumer, nullptr);
    ASSERT_EQ(ep_ring_group_remove(ring, "dropping"), EP_RING_OK);
  }
  elasticpool::Region& region() { return *reinterpret_cast<elasticpool::Region*>(ring); }
  // Whether the message's bytes are still its own.
  bool is_kept(const ep_ring_message& message) {
    const uint64_t word = region().block_entry(message.block).word.load_ordered();
    const elasticpool::BlockState state = elasticpool::block_state(word);
    return (state == elasticpool::BlockState::kAttached ||
            state == elasticpool::BlockState::kDetached) &&
           elasticpool::block_low(word) == static_cast<uint32_t>(message.sequence);
  }
  // Drops the first message, and `act` at the step-th change of that.
  bool drop_with(uint32_t step, std::function<void()> act) {
    return interrupt(step, std::move(act), [this] { publish(0); });
  }
  // Nothing is left, though the consumer stays until then.
  void expect_nothing_kept(ep_ring_consumer* consumer, uint32_t step) {
    take_all(consumer, nullptr);
    expect_empty("step " + std::to_string(step));
    leave_dropping(consumer);
  }
};

// Acknowledged while it is dropped: one of the two, and nothing stays behind.
TEST_F(DropOrder, AcknowledgedAtEveryStepOfDropping) {
  bool was_acknowledged = false;
  bool was_dropped = false;
  at_every_step([&](uint32_t step) {
    ep_ring_message in_work;
    ep_ring_consumer* consumer = join_busy(&in_work);
    int error = EP_RING_EMPTY;
    const auto acknowledge = [&] { error = ep_ring_ack(consumer, &in_work); };
    const bool is_over = drop_with(step, acknowledge);
    if (is_over) acknowledge();
    was_acknowledged = was_acknowledged || error == EP_RING_OK;
    was_dropped = was_dropped || error == EP_RING_GONE;
    expect_nothing_kept(consumer, step);
    return is_over;
  });
  EXPECT_TRUE(was_acknowledged);
  EXPECT_TRUE(was_dropped);
}

// The other way round.
TEST_F(DropOrder, DroppedAtEveryStepOfAcknowledging) {
  at_every_step([&](uint32_t step) {
    ep_ring_message in_work;
    ep_ring_consumer* consumer = join_busy(&in_work);
    const bool is_over = interrupt(
        step, [&] { publish(0); }, [&] { ep_ring_ack(consumer, &in_work); });
    expect_nothing_kept(consumer, step);
    return is_over;
  });
}

// Who drops dies: the bytes stay with whom he took the message from, and nothing stays behind once
// that one has given it up.
TEST_F(DropOrder, KilledAtEveryStepOfDropping) {
  at_every_step([&](uint32_t step) {
    ep_ring_message in_work;
    ep_ring_consumer* consumer = join_busy(&in_work);
    const std::string bytes(static_cast<const char*>(in_work.data), in_work.size);
    const pid_t child = fork();
    if (child == 0) {
      const auto die = [] { raise(SIGKILL); };
      const auto publish_three = [this] {
        ep_ring_producer* own = nullptr;
        if (ep_ring_producer_open(ring, &own) != EP_RING_OK) _exit(1);
        for (int i = 0; i < 3; ++i) {
          ep_ring_buffer buffer;
          if (ep_ring_reserve(own, 64, 0, &buffer) != EP_RING_OK) _exit(1);
          memset(buffer.data, 0xEE, 64);
          if (ep_ring_publish(own, &buffer, nullptr, 0, nullptr) != EP_RING_OK) _exit(1);
        }
      };
      _exit(interrupt(step, die, publish_three) ? 0 : 1);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(!WIFEXITED(status) || WEXITSTATUS(status) == 0);
    EXPECT_EQ(std::string(static_cast<const char*>(in_work.data), in_work.size), bytes);
    ep_ring_ack(consumer, &in_work);
    ep_ring_watch(ring);
    expect_nothing_kept(consumer, step);
    return WIFEXITED(status);
  });
}

// Released while it is dropped, and delivered to the same consumer again: what was still to be done
// about the first delivery does not take away the second.
TEST_F(DropOrder, DeliveredAgainAtEveryStepOfDropping) {
  unsigned again_count = 0;
  for (const bool is_held : {false, true}) {
    at_every_step([&](uint32_t step) {
      ep_ring_message first;
      ep_ring_message again{};
      bool is_again = false;
      ep_ring_consumer* consumer = join_busy(&first);
      const bool is_over = drop_with(step, [&] {
        is_again = ep_ring_release(consumer, &first) == EP_RING_OK &&
                   ep_ring_get(consumer, 0, &again) == EP_RING_OK &&
                   again.sequence == first.sequence;
        if (is_again && is_held) {
          EXPECT_EQ(ep_ring_hold(consumer, &again), EP_RING_OK);
        }
      });
      if (!is_again) {
        ep_ring_release(consumer, &first);
      } else {
        ++again_count;
        take_all(consumer, nullptr);
        if (is_held) ep_ring_ack(consumer, &again);
        for (uint32_t i = 0; i < 2 * kSlots; ++i) publish(0);
        take_all(consumer, nullptr);
        EXPECT_TRUE(is_kept(again)) << "step " << step;
        is_held ? ep_ring_unhold(consumer, &again) : ep_ring_ack(consumer, &again);
      }
      expect_nothing_kept(consumer, step);
      return is_over;
    });
  }
  EXPECT_GT(again_count, 4U);
}

// Its consumer leaves while it is dropped: nobody has a bit that nobody clears.
TEST_F(DropOrder, LeftAtEveryStepOfDropping) {
  at_every_step([&](uint32_t step) {
    ep_ring_message in_work;
    ep_ring_consumer* consumer = join_busy(&in_work);
    ep_ring_consumer* other = join_dropping();
    const bool is_over = drop_with(step, [&] {
      ep_ring_consumer_close(consumer, nullptr);
      consumer = nullptr;
    });
    ep_ring_consumer_close(consumer, nullptr);
    expect_nothing_kept(other, step);
    return is_over;
  });
}

// Laps are dropped between a consumer's last look and its sleep: it does not sleep.
TEST_F(DropOrder, LappedAtEveryStepOfFallingAsleep) {
  at_every_step([&](uint32_t step) {
    ep_ring_consumer* consumer = join_dropping();
    publish(0);
    take_all(consumer, nullptr);
    EXPECT_GE(ep_ring_consumer_eventfd(consumer), 0);
    ep_ring_message message;
    int error = EP_RING_EMPTY;
    const auto lap = [&] {
      for (uint32_t i = 0; i < kSlots + 10; ++i) publish(0);
    };
    const bool is_over = interrupt(step, lap, [&] { error = ep_ring_get(consumer, 0, &message); });
    if (!is_over) {
      EXPECT_EQ(error, EP_RING_OK) << "step " << step;
      ep_ring_ack(consumer, &message);
    }
    take_all(consumer, nullptr);
    leave_dropping(consumer);
    return is_over;
  });
}

// The creator of a group that drops dies: who publishes into a full ring waits for the sweep of it,
// and makes it himself.
TEST_F(DropOrder, CreatorKilledWhileTheRingIsFull) {
  bool is_over = false;
  for (uint32_t step = 1; !is_over; ++step) {
    for (uint32_t i = 0; i < kSlots; ++i) publish(0);
    const pid_t child = fork();
    if (child == 0) {
      std::function<void()> die = [] { kill(getpid(), SIGKILL); };
      in_between = &die;
      // Most of its changes are words of slots, one like the other.
      steps_left = step <= 40 ? step : 40 + (step - 40) * 64;
      const ep_ring_group_options options = {EP_RING_OLDEST, 0, EP_RING_DROP_OLDEST};
      _exit(ep_ring_group_create(ring, "dropping", &options) == EP_RING_OK ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    is_over = WIFEXITED(status);
    // The next look at who lives is due.
    region().header().watched_at_ns.store_relaxed(0);
    ep_ring_buffer buffer;
    ASSERT_EQ(ep_ring_reserve(producer, 64, 0, &buffer), EP_RING_OK);
    ASSERT_EQ(ep_ring_publish(producer, &buffer, nullptr, EP_RING_FOREVER, nullptr), EP_RING_OK);
    ep_ring_watch(ring);
    ep_ring_group_remove(ring, "dropping");
    expect_empty("step " + std::to_string(step));
  }
}

// A delivery word that says what cannot be hangs nobody.
TEST_F(DropOrder, AWordOfALapToComeIsFull) {
  ep_ring_consumer* consumer = join_dropping();
  for (uint32_t i = 0; i < kSlots; ++i) publish(0);
  elasticpool::SharedU64& word = region().delivery(0, region().slot_of(1));
  word.store_relaxed(
      elasticpool::delivery_word(elasticpool::DeliveryState::kAcked, elasticpool::kNobody, 5, 1));
  ep_ring_buffer buffer;
  ASSERT_EQ(ep_ring_reserve(producer, 64, 0, &buffer), EP_RING_OK);
  EXPECT_EQ(ep_ring_publish(producer, &buffer, nullptr, 0, nullptr), EP_RING_FULL);
  EXPECT_EQ(ep_ring_publish(producer, &buffer, nullptr, 20, nullptr), EP_RING_TIMEOUT);
  ep_ring_consumer_close(consumer, nullptr);
}

}  // namespace
