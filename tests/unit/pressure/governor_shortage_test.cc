// What the governor does where memory is short by other people's word: pressure/governor.h.
#include "os/memory_pressure.h"
#include "pressure/governed_heap.h"
#include "pressure/governor.h"

namespace elasticpool {
namespace {

using test::Calls;
using test::g_heap;
using test::g_name;
using test::kHooks;
using test::limited;
using test::listener;
using test::look_at;
using test::state;

constexpr PressureEvents kService = {.service = true};
constexpr PressureEvents kGroupStall = {.group_stall = true};
constexpr PressureEvents kSystemStall = {.system_stall = true};

class GovernorShortageTest : public test::GovernorTest {
 protected:
  static Calls heed(const PressureEvents& events) {
    g_heap.calls.clear();
    uint64_t returned_bytes = 0;
    const uint64_t before_bytes = state().returned_bytes;
    EXPECT_TRUE(governor_heed(events, &returned_bytes));
    EXPECT_EQ(state().returned_bytes - before_bytes, returned_bytes);
    return g_heap.calls;
  }
};

TEST_F(GovernorShortageTest, TheServiceManagerIsBelievedAtAnyLevel) {
  run([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    EXPECT_EQ(look_at(32), Calls());
    EXPECT_EQ(heed(kService), (Calls{"free 16", "tell L 1 at none", "free 1"}));
    EXPECT_EQ(state().shortages, 1U);
    EXPECT_EQ(state().last_wanted_bytes, kMiB) << "a share of the heap";
    EXPECT_EQ(state().last_returned_bytes, 0U);
  });
}

TEST_F(GovernorShortageTest, WhatIsFreeGoesAndThenNobodyIsAsked) {
  run([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    look_at(32);
    g_heap.free_bytes = 20 * kMiB;
    EXPECT_EQ(heed(kService), (Calls{"free 16", "free 16"})) << "a bite at a time";
    EXPECT_EQ(held_bytes(), 12 * kMiB);
    EXPECT_EQ(state().returned_bytes, 20 * kMiB);
    // And pages inside slabs.
    g_heap.slab_room_bytes = 6 * kMiB;
    g_heap.slab_pages_bytes = 4 * kMiB;
    EXPECT_EQ(heed(kService), (Calls{"free 16", "slabs", "free 8"}));
    EXPECT_EQ(state().returned_bytes, 24 * kMiB);
    EXPECT_EQ(state().told, 0U);
  });
}

TEST_F(GovernorShortageTest, WhoGrowsMeanwhileIsLookedAfter) {
  run([] {
    governor_start(limited(), kHooks);
    look_at(60);
    g_heap.free_bytes = 20 * kMiB;
    g_heap.on_free = [] {
      g_heap.on_free = [] {};
      EXPECT_TRUE(charge(50 * kMiB, Charge::kBlock));
    };
    // 60 and 50, less the bite of 16, are held when it looks.
    EXPECT_EQ(heed(kService), (Calls{"free 16", "grown", "thrift", "free 16", "free 16"}));
  });
}

TEST_F(GovernorShortageTest, StallsAskListenersOnlyNearTheLimit) {
  for (const PressureEvents& events : {kGroupStall, kSystemStall}) {
    run([&] {
      governor_start(limited(), kHooks);
      EXPECT_EQ(governor_add_listener(listener, g_name), 0);
      look_at(64);
      EXPECT_EQ(heed(events), (Calls{"free 16"}));
      look_at(72);
      EXPECT_EQ(heed(events), (Calls{"free 16", "tell L 2359296B at warning", "free 2359296B"}));
      EXPECT_EQ(state().shortages, 2U);
    });
  }
}

TEST_F(GovernorShortageTest, WhatAGroupCountsIsNoShortage) {
  run([] {
    governor_start(limited(), kHooks);
    look_at(72);
    for (const PressureEvents& events :
         {PressureEvents{}, PressureEvents{.group_events = true}, PressureEvents{.threshold = true},
          PressureEvents{.woken = true}, PressureEvents{.lost = true}}) {
      EXPECT_EQ(heed(events), Calls());
    }
    EXPECT_EQ(state().shortages, 0U);
  });
}

TEST_F(GovernorShortageTest, WhileSomebodyLooksItIsToBeSaidAgain) {
  run([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    g_heap.on_tell = [] {
      uint64_t returned_bytes = 0;
      EXPECT_FALSE(governor_heed(kService, &returned_bytes));
    };
    EXPECT_EQ(look_at(85), (Calls{"free 7", "tell L 7 at high", "free 7"}));
    EXPECT_EQ(state().shortages, 0U);
    g_heap.on_tell = [] {};
    EXPECT_EQ(heed(kSystemStall).front(), "free 7") << "it looks first";
    EXPECT_EQ(state().shortages, 1U);
  });
}

TEST_F(GovernorShortageTest, SwitchedOffItHeedsNothingAndWatchesNothing) {
  run([] {
    GovernorSettings settings = limited();
    settings.on = false;
    governor_start(settings, kHooks);
    EXPECT_EQ(heed(kService), Calls());
    PressureWatch watch;
    PressureSources sources;
    sources.arms_triggers = true;
    governor_open_watch(&watch, sources);
    PressureStall stall;
    EXPECT_EQ(watch.polled_count(), 0U);
    EXPECT_FALSE(watch.read_system_stall(&stall));
    EXPECT_EQ(test::kept_descriptors().size(), 0U);
  });
}

TEST_F(GovernorShortageTest, AFifoOfTheServiceManagerIsWatchedAndStallsAreKnown) {
  const std::string fifo = path("fifo");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  write("stall",
        "some avg10=1.25 avg60=0.00 avg300=0.00 total=7\n"
        "full avg10=0.50 avg60=0.00 avg300=0.00 total=3\n");
  const std::string stall = path("stall");
  run([&] {
    governor_start(limited(), kHooks);
    look_at(10);
    PressureWatch watch;
    PressureSources sources;
    sources.watch = fifo.c_str();
    sources.system_stall = stall.c_str();
    governor_open_watch(&watch, sources);
    EXPECT_GE(watch.polled_count(), 1U);
    governor_note_stall(&watch);
    look_at(10);
    EXPECT_TRUE(state().is_stall_known);
    PressureStall of_the_group;
    // The group's own goes first, on a machine that has one.
    if (!watch.read_group_stall(&of_the_group)) {
      EXPECT_EQ(state().stall_permyriad, 125U);
    }
    watch.close();
    governor_note_stall(&watch);
    look_at(10);
    EXPECT_FALSE(state().is_stall_known);
  });
}

}  // namespace
}  // namespace elasticpool
