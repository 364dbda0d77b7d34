// Calls of one thread, with something else in the middle: a hook runs before a chosen change of
// shared memory, so that another handle acts there, or the process dies.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "include/elasticpool/ring.h"
#include "ring/groups.h"
#include "ring/step.h"

namespace order {

using elasticpool::Membership;

inline std::function<void()>* in_between = nullptr;

inline uint32_t steps_left = 1;

inline constexpr uint32_t kSlots = 256;

// The test's own thread: the library has others, which wait for an event descriptor.
inline thread_local bool counts_here = false;

inline void hook() {
  if (!counts_here || in_between == nullptr || --steps_left != 0) return;
  std::function<void()>* once = in_between;
  in_between = nullptr;
  (*once)();
}

inline void print_fault(void*, const char* line) { printf("  %s\n", line); }

class OrderFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    ep_ring_options options;
    ep_ring_options_init(&options);
    options.pool_bytes = 1 << 20;
    options.slots = kSlots;
    ASSERT_EQ(ep_ring_create(nullptr, &options, &ring), EP_RING_OK);
    ASSERT_EQ(ep_ring_producer_open(ring, &producer), EP_RING_OK);
    counts_here = true;
    elasticpool::ring_step_hook = hook;
  }
  void TearDown() override {
    elasticpool::ring_step_hook = nullptr;
    ep_ring_producer_close(producer);
    ep_ring_detach(ring);
  }

  // `call`, with `act` before its step-th change; true: there were fewer.
  static bool interrupt(uint32_t step, std::function<void()> act,
                        const std::function<void()>& call) {
    in_between = &act;
    steps_left = step;
    call();
    const bool is_over = in_between != nullptr;
    in_between = nullptr;
    return is_over;
  }
  // Tries every step of a call: `at(step)` says whether there were fewer.
  static void at_every_step(const std::function<bool(uint32_t step)>& at) {
    uint32_t step = 1;
    while (!at(step)) ++step;
    EXPECT_GT(step, 1U);
  }
  ep_ring_consumer* join(const char* name) { return join_as("g", name); }
  ep_ring_consumer* join_as(const char* group, const char* name) {
    ep_ring_consumer_options options{};
    options.group = group;
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
  // Everything that comes to it at the moment is acknowledged.
  static void take_all(ep_ring_consumer* consumer, std::vector<ep_ring_message>* into) {
    // What nobody takes within 20 us is anybody's: the first look may come too early.
    for (int looks = 0; looks < 3; ++looks) {
      ep_ring_message message;
      while (ep_ring_get(consumer, 1, &message) == EP_RING_OK) {
        if (into != nullptr) into->push_back(message);
        ASSERT_EQ(ep_ring_ack(consumer, &message), EP_RING_OK);
      }
    }
  }
  // Nothing is in the pool, and no word is wrong. The producer is another one then.
  void expect_empty(const std::string& when) {
    ASSERT_EQ(ep_ring_cleanup_before(ring, UINT64_MAX), EP_RING_OK);
    ep_ring_producer_close(producer);
    ep_ring_stat stat;
    ep_ring_read_stat(ring, &stat);
    EXPECT_EQ(stat.pool_used_bytes, 0U) << when;
    EXPECT_EQ(stat.pool_cached_bytes, 0U) << when;
    EXPECT_EQ(stat.corruptions, 0U) << when;
    EXPECT_EQ(ep_ring_check(ring, print_fault, nullptr), 0U) << when;
    ASSERT_EQ(ep_ring_producer_open(ring, &producer), EP_RING_OK);
  }
  // A consumer gets what is published from now on; then it leaves, and its group goes.
  void expect_served(ep_ring_consumer* consumer, const std::string& when) {
    publish(0);
    ep_ring_message message;
    EXPECT_EQ(ep_ring_get(consumer, 0, &message), EP_RING_OK) << when;
    EXPECT_EQ(ep_ring_ack(consumer, &message), EP_RING_OK) << when;
    ep_ring_consumer_close(consumer, nullptr);
    EXPECT_EQ(ep_ring_group_remove(ring, "g"), EP_RING_OK) << when;
    expect_empty(when);
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

}  // namespace order
