// Who gets which message while members come, in steps of one thread (order_fixture.h).
#include "order_fixture.h"

namespace {

using namespace order;

class ScaleOrder : public OrderFixture {};

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
  steps_left = 1;
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

// What a leaving consumer had goes to the one it names, in order, though others are idle and though
// the keys would be theirs.
TEST_F(ScaleOrder, LeavesItsMessagesToWhomItNames) {
  for (const uint32_t heir : {0U, 1U, 2U}) {
    ep_ring_consumer* consumers[4] = {join("a"), join("b"), join("c"), join("leaver")};
    ep_ring_message had[64];
    size_t had_count = 0;
    const uint64_t keys[4] = {0, key_for(3, 4), 0, 0};
    for (int i = 0; i < 128; ++i) publish(keys[i % 4]);
    ASSERT_EQ(ep_ring_get_batch(consumers[3], 0, had, 64, &had_count), EP_RING_OK);
    ASSERT_GE(had_count, 32U);
    // The others have done theirs and are idle.
    for (int i = 0; i < 3; ++i) take_all(consumers[i], nullptr);
    const std::string name(1, static_cast<char>('a' + heir));
    ep_ring_consumer_close(consumers[3], name.c_str());
    std::vector<ep_ring_message> got;
    for (uint32_t i = 0; i < 3; ++i) {
      if (i != heir) take_all(consumers[i], &got);
    }
    EXPECT_EQ(got.size(), 0U) << "heir " << name;
    got.clear();
    take_all(consumers[heir], &got);
    ASSERT_EQ(got.size(), had_count);
    for (size_t i = 0; i < had_count; ++i) {
      EXPECT_EQ(got[i].sequence, had[i].sequence);
      EXPECT_EQ(got[i].deliveries, 2U);
    }
    for (int i = 0; i < 3; ++i) ep_ring_consumer_close(consumers[i], nullptr);
  }
}

// An heir that leaves, too, passes it all on.
TEST_F(ScaleOrder, AnHeirThatIsGoneHoldsUpNobody) {
  ep_ring_consumer* a = join("a");
  ep_ring_consumer* leaver = join("leaver");
  for (int i = 0; i < 64; ++i) publish(i % 2 == 0 ? 0 : key_for(1, 2));
  ep_ring_message had[64];
  size_t had_count = 0;
  ASSERT_EQ(ep_ring_get_batch(leaver, 0, had, 64, &had_count), EP_RING_OK);
  ep_ring_consumer* heir = join("heir");
  ep_ring_consumer_close(leaver, "heir");
  take_all(a, nullptr);
  ep_ring_consumer_close(heir, nullptr);
  std::vector<ep_ring_message> got;
  take_all(a, &got);
  EXPECT_EQ(got.size(), had_count);
  ep_ring_consumer_close(a, "nobody of that name");
}

// Who leaves in order leaves nothing behind, whatever it had, and without a look at every block.
TEST_F(ScaleOrder, LeavesNoBlockBehind) {
  for (const size_t held : {0U, 1U, 64U, 65U, 100U}) {
    ep_ring_consumer* leaver = join("leaver");
    for (int i = 0; i < 120; ++i) publish(0);
    ep_ring_message messages[120];
    size_t count = 0;
    ASSERT_EQ(ep_ring_get_batch(leaver, 0, messages, 120, &count), EP_RING_OK);
    ASSERT_EQ(count, 120U);
    for (size_t i = 0; i < held; ++i) {
      ASSERT_EQ(ep_ring_hold(leaver, &messages[i]), EP_RING_OK);
      ASSERT_EQ(ep_ring_hold(leaver, &messages[i]), EP_RING_OK);  // one reference all the same
    }
    if (held > 1) {
      ASSERT_EQ(ep_ring_unhold(leaver, &messages[held / 2]), EP_RING_OK);
    }
    ASSERT_EQ(ep_ring_ack_batch(leaver, messages, 110), EP_RING_OK);
    ep_ring_consumer_close(leaver, nullptr);

    ep_ring_consumer* other = join("other");
    std::vector<ep_ring_message> got;
    take_all(other, &got);
    EXPECT_EQ(got.size(), 10U) << held << " held";
    ep_ring_consumer_close(other, nullptr);
    // Before anybody else is swept, who would find what it left.
    ASSERT_EQ(ep_ring_cleanup_before(ring, UINT64_MAX), EP_RING_OK);
    ep_ring_stat stat;
    ep_ring_read_stat(ring, &stat);
    EXPECT_EQ(stat.pool_used_bytes, 0U) << held << " held";
    // What a producer has reserved and cached goes with it.
    ep_ring_buffer reserved;
    ASSERT_EQ(ep_ring_reserve(producer, 100000, 0, &reserved), EP_RING_OK);
    ASSERT_EQ(ep_ring_reserve(producer, 100, 0, &reserved), EP_RING_OK);
    expect_empty(std::to_string(held) + " held");
  }
}

// Fenced at any moment while it leaves: others kept blocks for it, which must go all the same.
TEST_F(ScaleOrder, FencedWhileItLeavesNoBlockBehind) {
  auto& region = *reinterpret_cast<elasticpool::Region*>(ring);
  uint32_t fenced = 0;
  for (uint32_t step = 0; step < 40; ++step) {
    ep_ring_consumer* hung = join("hung");
    for (int i = 0; i < 20; ++i) publish(0);
    ep_ring_message messages[20];
    size_t count = 0;
    ASSERT_EQ(ep_ring_get_batch(hung, 0, messages, 20, &count), EP_RING_OK);
    ASSERT_EQ(ep_ring_hold(hung, messages), EP_RING_OK);
    std::function<void()> fence = [&] {
      region.member(0).lease_until_ns.store_relaxed(1);
      fenced += ep_ring_watch(ring);
    };
    if (step == 0) {
      fence();
      EXPECT_EQ(ep_ring_get(hung, 0, messages), EP_RING_FENCED);
    } else {
      steps_left = step;
      in_between = &fence;
    }
    ep_ring_consumer_close(hung, nullptr);
    in_between = nullptr;
    ep_ring_consumer* other = join("other");
    std::vector<ep_ring_message> got;
    take_all(other, &got);
    EXPECT_EQ(got.size(), 20U);
    ep_ring_consumer_close(other, nullptr);
    expect_empty("step " + std::to_string(step));
  }
  EXPECT_GT(fenced, 20U);
}

// A process that dies at any change of memory while it leaves: others get what it had, nothing
// stays behind.
TEST_F(ScaleOrder, KilledAtEveryStepOfLeaving) {
  bool is_over = false;
  uint32_t step = 0;
  for (step = 1; !is_over; ++step) {
    for (int i = 0; i < 20; ++i) publish(i % 3 == 0 ? 0 : static_cast<uint64_t>(i));
    const pid_t child = fork();
    if (child == 0) {
      ep_ring_consumer* leaver = join("leaver");
      ep_ring_producer* own = nullptr;
      ep_ring_buffer buffer;
      ep_ring_message messages[20];
      size_t count = 0;
      if (ep_ring_producer_open(ring, &own) != EP_RING_OK ||
          ep_ring_reserve(own, 64, 0, &buffer) != EP_RING_OK ||
          ep_ring_discard(own, &buffer) != EP_RING_OK ||
          ep_ring_get_batch(leaver, 0, messages, 20, &count) != EP_RING_OK || count != 20 ||
          ep_ring_hold(leaver, messages) != EP_RING_OK ||
          ep_ring_ack_batch(leaver, messages, 10) != EP_RING_OK) {
        _exit(1);
      }
      std::function<void()> die = [] { kill(getpid(), SIGKILL); };
      steps_left = step;
      in_between = &die;
      ep_ring_consumer_close(leaver, nullptr);
      ep_ring_producer_close(own);
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    is_over = WIFEXITED(status);
    ASSERT_TRUE(!is_over || WEXITSTATUS(status) == 0);
    ep_ring_watch(ring);
    ep_ring_consumer* other = join("other");
    std::vector<ep_ring_message> got;
    take_all(other, &got);
    EXPECT_EQ(got.size(), 10U) << "step " << step;
    ep_ring_consumer_close(other, nullptr);
    expect_empty("step " + std::to_string(step));
  }
  printf("  killed at each of %u steps\n", step - 2);
  EXPECT_GT(step, 20U);
}

// A key that was scribbled over makes the message somebody's, who finds out; it holds up nobody.
TEST_F(ScaleOrder, ScribbledKeyIsFound) {
  ep_ring_consumer* a = join("a");
  ep_ring_consumer* b = join("b");
  auto& region = *reinterpret_cast<elasticpool::Region*>(ring);
  for (const uint64_t key : {uint64_t{0}, key_for(0, 2), key_for(1, 2)}) {
    for (const uint64_t scribbled : {uint64_t{0}, key_for(0, 2), key_for(1, 2)}) {
      if (key == scribbled) continue;
      publish(key);
      const uint64_t sequence = region.header().tail.load_ordered() - 1;
      region.line(region.slot_of(sequence))
          .words[elasticpool::kHeaderKeyWord]
          .store_release(scribbled);
      ep_ring_message message;
      const int first = ep_ring_get(a, 0, &message);
      const int second = ep_ring_get(b, 0, &message);
      EXPECT_TRUE((first == EP_RING_CORRUPT) != (second == EP_RING_CORRUPT))
          << key << " became " << scribbled << ": " << first << ' ' << second;
    }
  }
  ep_ring_consumer_close(a, nullptr);
  ep_ring_consumer_close(b, nullptr);
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

// A group goes, or goes and another takes its record, in the middle of joining it: who joined is in
// a group of that name all the same.
TEST_F(ScaleOrder, AGroupIsRemovedWhileSomebodyJoins) {
  for (const bool is_replaced : {false, true}) {
    at_every_step([&](uint32_t step) {
      EXPECT_EQ(ep_ring_group_create(ring, "g", nullptr), EP_RING_OK);
      const auto remove = [&] {
        if (ep_ring_group_remove(ring, "g") != EP_RING_OK || !is_replaced) return;
        EXPECT_EQ(ep_ring_group_create(ring, "other", nullptr), EP_RING_OK);
      };
      ep_ring_consumer* consumer = nullptr;
      const bool is_over = interrupt(step, remove, [&] { consumer = join("a"); });
      expect_served(consumer, "joined, step " + std::to_string(step));
      ep_ring_group_remove(ring, "other");
      return is_over;
    });
  }
}

// The other way round.
TEST_F(ScaleOrder, SomebodyJoinsWhileTheGroupIsRemoved) {
  at_every_step([&](uint32_t step) {
    EXPECT_EQ(ep_ring_group_create(ring, "g", nullptr), EP_RING_OK);
    ep_ring_consumer* consumer = nullptr;
    const bool is_over = interrupt(
        step, [&] { consumer = join("a"); }, [&] { ep_ring_group_remove(ring, "g"); });
    if (!is_over) expect_served(consumer, "removed, step " + std::to_string(step));
    return is_over;
  });
}

// A consumer that died with a checkpoint keeps its place; who removes its group dies as well,
// before he has freed that. All places can be taken all the same.
TEST_F(ScaleOrder, ARemoverDiesAndNoPlaceIsLost) {
  at_every_step([&](uint32_t step) {
    const pid_t sleeper = fork();
    if (sleeper == 0) {
      ep_ring_checkpoint(join("sleeper"), 0);
      raise(SIGKILL);
    }
    int status = 0;
    EXPECT_EQ(waitpid(sleeper, &status, 0), sleeper);
    ep_ring_watch(ring);
    const pid_t remover = fork();
    if (remover == 0) {
      const auto die = [] { raise(SIGKILL); };
      const auto remove = [&] { ep_ring_group_remove(ring, "g"); };
      _exit(interrupt(step, die, remove) ? 0 : 1);
    }
    EXPECT_EQ(waitpid(remover, &status, 0), remover);
    std::vector<ep_ring_consumer*> consumers;
    ep_ring_group_remove(ring, "g");
    for (int i = 0; i < 48; ++i) consumers.push_back(join(nullptr));
    for (ep_ring_consumer* consumer : consumers) ep_ring_consumer_close(consumer, nullptr);
    EXPECT_EQ(ep_ring_group_remove(ring, "g"), EP_RING_OK);
    return WIFEXITED(status);
  });
}

}  // namespace
