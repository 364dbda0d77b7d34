// Listeners wait for the edge of a request: pressure/governor.h, pressure/edge_work.h.
#include "pressure/edge_work.h"
#include "pressure/governed_heap.h"
#include "pressure/governor.h"

namespace elasticpool {
namespace {

using test::Calls;
using test::g_heap;
using test::g_name;
using test::hold;
using test::kHooks;
using test::limited;
using test::listener;
using test::look_at;
using test::state;

class GovernorEdgeTest : public test::GovernorTest {
 protected:
  static Calls look_within_request_at(uint64_t mib) {
    hold(mib);
    g_heap.calls.clear();
    governor_look_within_request();
    return g_heap.calls;
  }
  static Calls ask() {
    g_heap.calls.clear();
    governor_ask_listeners();
    return g_heap.calls;
  }
};

TEST_F(GovernorEdgeTest, WithinARequestNobodyIsAsked) {
  run([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    EXPECT_EQ(look_within_request_at(85), (Calls{"free 7"}));
    EXPECT_TRUE(is_edge_work(kAskListeners));
    EXPECT_EQ(ask(), (Calls{"tell L 7 at high", "free 7"}));
    EXPECT_FALSE(is_edge_work(kAskListeners));
    EXPECT_EQ(ask(), Calls()) << "once";
    EXPECT_EQ(state().told, 1U);
  });
}

TEST_F(GovernorEdgeTest, WhatListenersFreeAtTheEdgeCounts) {
  run([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    look_within_request_at(85);
    g_heap.on_tell = [] { g_heap.free_bytes = 7 * kMiB; };
    ask();
    EXPECT_EQ(state().last_wanted_bytes, 7 * kMiB);
    EXPECT_EQ(state().last_returned_bytes, 7 * kMiB);
    EXPECT_EQ(state().returned_bytes, 7 * kMiB);
    EXPECT_EQ(held_bytes(), 78 * kMiB);
  });
}

TEST_F(GovernorEdgeTest, WhereNobodyComesByTheNextLookAsks) {
  run([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    look_within_request_at(85);
    EXPECT_EQ(look_within_request_at(86), (Calls{"free 8", "tell L 8 at high", "free 8"}));
  });
}

TEST_F(GovernorEdgeTest, ALookFromOutsideAsksAtOnceAndForAll) {
  run([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    look_within_request_at(85);
    EXPECT_EQ(look_at(86), (Calls{"free 8", "tell L 8 at high", "free 8"}));
    EXPECT_EQ(ask(), Calls()) << "nothing is left to ask for";
  });
}

TEST_F(GovernorEdgeTest, WhatIsNotWantedAnyMoreIsNotAskedFor) {
  run([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    look_within_request_at(85);
    EXPECT_EQ(look_at(40), Calls());
    EXPECT_EQ(ask(), Calls()) << "no listener at level none";
    EXPECT_FALSE(is_edge_work(kAskListeners));
    // And the next request that finds it wanting is the first one again.
    EXPECT_EQ(look_within_request_at(85), (Calls{"free 7"}));
    EXPECT_EQ(ask(), (Calls{"tell L 7 at high", "free 7"}));
  });
}

TEST_F(GovernorEdgeTest, WhoComesByWhileSomebodyLooksLeavesItToTheNext) {
  run([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    look_within_request_at(85);
    g_heap.on_tell = [] {
      want_edge_work(kAskListeners);
      governor_ask_listeners();
      EXPECT_TRUE(is_edge_work(kAskListeners)) << "somebody is at it";
    };
    EXPECT_EQ(ask(), (Calls{"tell L 7 at high", "free 7"}));
    EXPECT_EQ(ask(), Calls());
    EXPECT_FALSE(is_edge_work(kAskListeners));
  });
}

TEST_F(GovernorEdgeTest, WithoutListenersThereIsNoWork) {
  run([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(look_within_request_at(85), (Calls{"free 7"}));
    EXPECT_FALSE(is_edge_work(kAskListeners));
    EXPECT_EQ(ask(), Calls());
  });
}

}  // namespace
}  // namespace elasticpool
