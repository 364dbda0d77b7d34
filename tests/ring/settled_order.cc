// Messages come up again while members come: nobody begins to look behind them (order_fixture.h).
#include <set>

#include "order_fixture.h"

namespace {

using namespace order;

// Members take what they took long ago for settled: more than lib/ring/settled.h has as its stride.
constexpr uint32_t kMessages = 200;

class SettledOrder : public OrderFixture {
 protected:
  // Two members that share some messages and have acknowledged them all but `open`, which one of
  // them has; both have looked since.
  void settle(uint64_t key, uint64_t open) {
    a = join("a");
    b = join("b");
    if (open == kMessages) {
      ASSERT_EQ(ep_ring_checkpoint(a, 0), EP_RING_OK);
    }
    a_has.clear();
    first = 0;
    is_open = false;
    for (uint32_t looks = 0; looks < 12; ++looks) {
      for (uint32_t i = 0; looks % 3 == 0 && i < kMessages / 4; ++i) publish(key);
      for (ep_ring_consumer* member : {a, b}) {
        ep_ring_message message;
        while (ep_ring_get(member, 1, &message) == EP_RING_OK) {
          if (first == 0) first = message.sequence;
          if (message.sequence - first == open) {
            kept = message;
            keeper = member;
            is_open = true;
            continue;
          }
          ASSERT_EQ(ep_ring_ack(member, &message), EP_RING_OK);
          if (member == a) a_has.insert(message.sequence);
        }
      }
    }
    ASSERT_EQ(is_open, open < kMessages);
  }
  // A member that joins in the middle, and takes what it gets.
  std::function<void()> joins_and_takes() {
    return [this] {
      c = join("c");
      take_all(c, &taken);
    };
  }
  void expect_all_taken(const std::string& when, std::set<uint64_t> expected) {
    if (c == nullptr) c = join("c");
    take_all(c, &taken);
    // What is returned to nobody and has no key.
    if (is_anybodys) {
      EXPECT_FALSE(taken.empty()) << when;
    }
    // Who joined last alone from here on.
    ep_ring_consumer_close(a, nullptr);
    ep_ring_consumer_close(b, nullptr);
    take_all(c, &taken);
    for (const ep_ring_message& message : taken) expected.erase(message.sequence);
    EXPECT_TRUE(expected.empty()) << when << ": " << expected.size() << " of them, the first "
                                  << *expected.begin();
    ep_ring_consumer_close(c, nullptr);
    c = nullptr;
    taken.clear();
    ASSERT_EQ(ep_ring_group_remove(ring, "g"), EP_RING_OK);
    expect_empty(when);
  }

  ep_ring_consumer* a = nullptr;
  ep_ring_consumer* b = nullptr;
  ep_ring_consumer* c = nullptr;
  ep_ring_consumer* keeper = nullptr;
  ep_ring_message kept{};
  std::vector<ep_ring_message> taken;
  std::set<uint64_t> a_has;
  uint64_t first = 0;
  bool is_open = false;
  bool is_anybodys = false;
};

TEST_F(SettledOrder, OneJoinsAtEachStepOfARelease) {
  for (const uint64_t key : {uint64_t{0}, key_for(0, 3), key_for(2, 3)}) {
    is_anybodys = key == 0;
    at_every_step([&](uint32_t step) {
      settle(key, 5);
      const bool is_over = interrupt(
          step, joins_and_takes(), [&] { EXPECT_EQ(ep_ring_release(keeper, &kept), EP_RING_OK); });
      expect_all_taken("step " + std::to_string(step), {kept.sequence});
      return is_over;
    });
  }
}

TEST_F(SettledOrder, OneReleasesAtEachStepOfJoining) {
  is_anybodys = true;
  at_every_step([&](uint32_t step) {
    settle(0, 5);
    const auto release = [&] { EXPECT_EQ(ep_ring_release(keeper, &kept), EP_RING_OK); };
    const bool is_over = interrupt(step, release, joins_and_takes());
    if (is_over) release();
    expect_all_taken("step " + std::to_string(step), {kept.sequence});
    return is_over;
  });
}

// All that it has acknowledged comes up again: its checkpoint is before it.
TEST_F(SettledOrder, OneJoinsAtEachStepOfARecovery) {
  at_every_step([&](uint32_t step) {
    settle(0, kMessages);
    EXPECT_FALSE(a_has.empty());
    uint64_t resume = 0;
    const bool is_over = interrupt(step, joins_and_takes(),
                                   [&] { EXPECT_EQ(ep_ring_recover(a, &resume), EP_RING_OK); });
    EXPECT_EQ(resume, 1U);
    expect_all_taken("step " + std::to_string(step), a_has);
    return is_over;
  });
}

// What was with somebody who does not come back.
TEST_F(SettledOrder, OneJoinsAtEachStepOfASweep) {
  auto& region = *reinterpret_cast<elasticpool::Region*>(ring);
  at_every_step([&](uint32_t step) {
    settle(0, 5);
    region.member(keeper == a ? 0 : 1).lease_until_ns.store_relaxed(1);
    const bool is_over = interrupt(step, joins_and_takes(), [&] { ep_ring_watch(ring); });
    expect_all_taken("step " + std::to_string(step), {kept.sequence});
    return is_over;
  });
}

// A member leaves while another looks, and somebody of another group takes its place: what that one
// says is settled is nothing to the first one.
TEST_F(SettledOrder, APlaceGoesToAnotherGroupAtEachStepOfALook) {
  at_every_step([&](uint32_t step) {
    EXPECT_EQ(ep_ring_group_create(ring, "h", nullptr), EP_RING_OK);
    a = join("a");
    for (uint32_t i = 0; i < kMessages; ++i) publish(0);
    b = join("b");
    ep_ring_consumer* of_other = nullptr;
    const auto goes = [&] {
      ep_ring_consumer_close(a, nullptr);
      of_other = join_as("h", "a");
      take_all(of_other, nullptr);
    };
    const bool is_over = interrupt(step, goes, [&] { take_all(b, &taken); });
    if (is_over) goes();
    take_all(b, &taken);
    const uint64_t end = taken.empty() ? 0 : taken.front().sequence;
    EXPECT_EQ(taken.size(), kMessages) << "step " << step << ", the first at " << end;
    taken.clear();
    for (ep_ring_consumer* consumer : {b, of_other}) ep_ring_consumer_close(consumer, nullptr);
    EXPECT_EQ(ep_ring_group_remove(ring, "g"), EP_RING_OK);
    EXPECT_EQ(ep_ring_group_remove(ring, "h"), EP_RING_OK);
    expect_empty("step " + std::to_string(step));
    // Each message that is taken is some steps more.
    return is_over || step == 60;
  });
}

// Messages in work that are to be looked at again do not end it: it goes on to say what is settled.
TEST_F(SettledOrder, AReturnInTheMiddleOfMuchWork) {
  a = join("a");
  for (uint32_t i = 0; i < kMessages; ++i) publish(0);
  std::vector<ep_ring_message> has(kMessages);
  size_t count = 0;
  ASSERT_EQ(ep_ring_get_batch(a, 0, has.data(), kMessages, &count), EP_RING_OK);
  ASSERT_EQ(count, kMessages);
  ASSERT_EQ(ep_ring_release(a, &has[70]), EP_RING_OK);
  ASSERT_EQ(ep_ring_get(a, 0, &has[70]), EP_RING_OK);
  ASSERT_EQ(ep_ring_ack_batch(a, has.data(), kMessages), EP_RING_OK);
  for (uint32_t i = 0; i < 1000; ++i) {
    publish(0);
    take_all(a, &taken);
  }
  auto& region = *reinterpret_cast<elasticpool::Region*>(ring);
  EXPECT_GT(region.member(0).settled.load_relaxed() + 200, taken.back().sequence);
  ep_ring_consumer_close(a, nullptr);
}

}  // namespace
