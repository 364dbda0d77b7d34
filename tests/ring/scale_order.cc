// Who gets which message while members come, in steps of one thread: a hook runs before a chosen
// change of shared memory, so that the other consumer acts in the middle of a call.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "include/elasticpool/ring.h"
#include "ring/groups.h"
#include "ring/step.h"

using elasticpool::Membership;

namespace {

std::function<void()>* in_between = nullptr;

void hook() {
  if (in_between == nullptr) return;
  std::function<void()>* once = in_between;
  in_between = nullptr;
  (*once)();
}

class ScaleOrder : public ::testing::Test {
 protected:
  void SetUp() override {
    ep_ring_options options;
    ep_ring_options_init(&options);
    options.pool_bytes = 1 << 20;
    options.slots = 256;
    ASSERT_EQ(ep_ring_create(nullptr, &options, &ring), EP_RING_OK);
    ASSERT_EQ(ep_ring_producer_open(ring, &producer), EP_RING_OK);
    elasticpool::ring_step_hook = hook;
  }
  void TearDown() override {
    elasticpool::ring_step_hook = nullptr;
    ep_ring_producer_close(producer);
    ep_ring_detach(ring);
  }

  ep_ring_consumer* join(const char* name) {
    ep_ring_consumer_options options{};
    options.group = "g";
    options.name = name;
    ep_ring_consumer* consumer = nullptr;
    EXPECT_EQ(ep_ring_consumer_open(ring, &options, &consumer), EP_RING_OK);
    return consumer;
  }
  void publish(uint64_t key) {
    ep_ring_buffer buffer;
    ASSERT_EQ(ep_ring_reserve(producer, 64, 0, &buffer), EP_RING_OK);
    const ep_ring_label label{key, 0};
    ASSERT_EQ(ep_ring_publish(producer, &buffer, &label, 0, nullptr), EP_RING_OK);
  }
  // A key that is for the member of that rank of so many.
  static uint64_t key_for(uint32_t rank, uint32_t members) {
    const Membership membership((uint64_t{1} << members) - 1);
    uint64_t key = 1;
    while (membership.rank_for(0, key) != rank) ++key;
    return key;
  }

  ep_ring* ring = nullptr;
  ep_ring_producer* producer = nullptr;
};

// A is alone and in the middle of taking a batch when B joins and takes the first message of a key.
// A, which does not know of B yet, must not take the second one.
TEST_F(ScaleOrder, BatchOfTheLoneOneWhileAnotherJoins) {
  ep_ring_consumer* a = join("a");
  ep_ring_message of_a[8];
  size_t count = 0;
  // A knows the group from now on, and looks for the dead only in 100 ms: the next change that it
  // makes is the claim of a message.
  ASSERT_EQ(ep_ring_get_batch(a, 0, of_a, 8, &count), EP_RING_EMPTY);
  const uint64_t key_of_a = key_for(0, 2);
  const uint64_t key_of_b = key_for(1, 2);
  publish(key_of_a);
  publish(key_of_b);
  publish(key_of_b);
  ep_ring_consumer* b = nullptr;
  ep_ring_message of_b{};
  std::function<void()> join_and_take = [&] {
    b = join("b");
    ASSERT_EQ(ep_ring_get(b, 0, &of_b), EP_RING_OK);
  };
  in_between = &join_and_take;
  ASSERT_EQ(ep_ring_get_batch(a, 0, of_a, 8, &count), EP_RING_OK);
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(of_b.key, key_of_b);
  for (size_t i = 0; i < count; ++i) {
    EXPECT_FALSE(of_a[i].key == key_of_b) << "sequence " << of_a[i].sequence << " overtook "
                                          << of_b.sequence << ", which is not acknowledged";
  }
  ep_ring_consumer_close(a, nullptr);
  ep_ring_consumer_close(b, nullptr);
}

// Who has a message of one key does not hold up another member with another.
TEST_F(ScaleOrder, MembersDoNotWaitForEachOther) {
  ep_ring_consumer* consumers[3] = {join("a"), join("b"), join("c")};
  const Membership membership(7);
  // Neighbours in many a hash table, and for different members.
  const uint64_t first = key_for(0, 3);
  for (uint64_t key = 1; key < 20000; ++key) {
    if ((Membership::mix(key) - Membership::mix(first)) % 256 != 0) continue;
    if (membership.rank_for(0, key) == 0) continue;
    publish(first);
    publish(key);
    ep_ring_message held{};
    ep_ring_message other{};
    ASSERT_EQ(ep_ring_get(consumers[0], 0, &held), EP_RING_OK);
    ep_ring_consumer* its_own = consumers[membership.rank_for(0, key)];
    ASSERT_EQ(ep_ring_get(its_own, 0, &other), EP_RING_OK) << "key " << key;
    ASSERT_EQ(ep_ring_ack(its_own, &other), EP_RING_OK);
    ASSERT_EQ(ep_ring_ack(consumers[0], &held), EP_RING_OK);
  }
  for (ep_ring_consumer* consumer : consumers) ep_ring_consumer_close(consumer, nullptr);
}

// Of a batch with keys the sleeper whose key it is must be woken, whoever is first in turn.
TEST_F(ScaleOrder, BatchWithKeysWakesWhoItIsFor) {
  ep_ring_consumer* consumers[3] = {join("a"), join("b"), join("c")};
  auto& region = *reinterpret_cast<elasticpool::Region*>(ring);
  const uint32_t group = elasticpool::find_group(region, elasticpool::name_text("g"));
  region.group(group).sleepers.set_bits(7);  // as if they all slept
  const ep_ring_label label{key_for(2, 3), 0};
  const ep_ring_label labels[2] = {label, label};
  ep_ring_buffer buffers[2];
  for (ep_ring_buffer& buffer : buffers) {
    ASSERT_EQ(ep_ring_reserve(producer, 64, 0, &buffer), EP_RING_OK);
  }
  size_t published = 0;
  ASSERT_EQ(ep_ring_publish_batch(producer, buffers, 2, labels, 0, &published), EP_RING_OK);
  EXPECT_EQ(region.group(group).sleepers.load_relaxed() & 4, 0U);
  for (ep_ring_consumer* consumer : consumers) ep_ring_consumer_close(consumer, nullptr);
}

// However many members: no one has two lanes more than another.
TEST(Sharing, LanesAreDealtOutEvenly) {
  for (uint32_t members = 1; members <= 48; ++members) {
    const Membership membership((uint64_t{1} << members) - 1);
    std::vector<uint32_t> rank_of_lane(Membership::kLanes, UINT32_MAX);
    std::vector<uint32_t> lanes(members);
    for (uint64_t key = 1; key < 100 * Membership::kLanes; ++key) {
      const uint32_t rank = membership.rank_for(0, key);
      uint32_t& known = rank_of_lane[Membership::lane_of(key)];
      ASSERT_LT(rank, members);
      ASSERT_TRUE(known == UINT32_MAX || known == rank);
      if (known == UINT32_MAX) ++lanes[rank];
      known = rank;
    }
    const auto [least, most] = std::minmax_element(lanes.begin(), lanes.end());
    ASSERT_LE(*most - *least, 1U) << members << " members";
  }
}

}  // namespace
