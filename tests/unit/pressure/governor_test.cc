// pressure/governor.h over hooks that note what they are asked for.
//
// Not here     limits of a control group (group_is_hard): those need a group of the test's own.
//              What the kernel and the service manager say: governor_shortage_test.cc; whom
//              requests of libc's own ask: governor_edge_test.cc; how each source of a limit counts
//              what was granted: governor_sources_test.cc.
#include "pressure/governor.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "pressure/governed_heap.h"

namespace elasticpool {
namespace {

using test::Calls;
using test::FakeHeap;
using test::g_heap;
using test::g_name;
using test::GovernorTest;
using test::hold;
using test::kHooks;
using test::kLimit;
using test::limited;
using test::listener;
using test::look_at;
using test::state;

TEST_F(GovernorTest, KnowsTheLevel) {
  run([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(state().looks, 1U) << "the first one who asks looks";
    const struct {
      uint64_t mib;
      PressureLevel level;
    } steps[] = {{10, PressureLevel::kNone},      {70, PressureLevel::kWarning},
                 {69, PressureLevel::kWarning},   {68, PressureLevel::kNone},
                 {85, PressureLevel::kHigh},      {92, PressureLevel::kCritical},
                 {95, PressureLevel::kEmergency}, {94, PressureLevel::kEmergency},
                 {93, PressureLevel::kCritical},  {0, PressureLevel::kNone}};
    uint64_t looks = 1;
    for (const auto& step : steps) {
      look_at(step.mib);
      EXPECT_EQ(state().level, step.level) << step.mib;
      EXPECT_EQ(state().reading.source, MemorySource::kOption);
      EXPECT_EQ(state().reading.limit_bytes, kLimit);
      EXPECT_EQ(state().reading.used_bytes, step.mib * kMiB);
      EXPECT_EQ(state().held_bytes, step.mib * kMiB);
      EXPECT_EQ(state().looks, ++looks);
    }
    EXPECT_EQ(state().level_changes, 7U);
    EXPECT_EQ(state().highest, PressureLevel::kEmergency);
  });
}

TEST_F(GovernorTest, LevelsAreThoseOfTheSettings) {
  run([] {
    GovernorSettings settings = limited();
    settings.levels_percent[0] = 10;
    settings.levels_percent[1] = 20;
    settings.levels_percent[2] = 30;
    settings.levels_percent[3] = 40;
    governor_start(settings, kHooks);
    EXPECT_EQ(look_at(15), Calls());
    EXPECT_EQ(state().level, PressureLevel::kWarning);
    EXPECT_EQ(look_at(21), (Calls{"free 3"}));
    look_at(41);
    EXPECT_EQ(state().level, PressureLevel::kEmergency);
  });
}

TEST_F(GovernorTest, AsksForMoreTheWorseItIs) {
  run([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    EXPECT_EQ(look_at(10), Calls());
    EXPECT_EQ(look_at(79), Calls()) << "a warning is watched only";
    EXPECT_EQ(look_at(85), (Calls{"free 7", "tell L 7 at high", "free 7"})) << "at 78 it is left";
    EXPECT_EQ(governor_remove_listener(listener, g_name), 0);
    EXPECT_EQ(governor_remove_listener(listener, g_name), ENOENT);
    EXPECT_EQ(look_at(92), (Calls{"thrift", "free 14"}));
    EXPECT_EQ(look_at(93), (Calls{"free 15"})) << "thrift is said once";
    EXPECT_EQ(look_at(96), (Calls{"free 18", "own", "free 18"}));
    EXPECT_EQ(look_at(89), (Calls{"free 11"})) << "still critical";
    EXPECT_EQ(look_at(87), (Calls{"no thrift", "free 9"}));
    EXPECT_EQ(look_at(50), Calls());
    EXPECT_EQ(state().told, 1U);
    EXPECT_EQ(state().returned_bytes, 0U);
    EXPECT_EQ(state().last_wanted_bytes, 9 * kMiB) << "as of the last time";
  });
}

TEST_F(GovernorTest, WhoFreesWhatIsWantedIsNotAskedForWhatSwaysAroundTheLine) {
  run([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    g_heap.on_tell = [] { g_heap.free_bytes += 7 * kMiB; };
    EXPECT_EQ(look_at(85), (Calls{"free 7", "tell L 7 at high", "free 7"}));
    EXPECT_EQ(held_bytes(), 78 * kMiB);
    std::this_thread::sleep_for(std::chrono::milliseconds(110));  // it might be asked again
    for (const uint64_t mib : std::initializer_list<uint64_t>{78, 79, 78, 79}) {
      EXPECT_EQ(look_at(mib), Calls()) << mib;
      EXPECT_EQ(state().level, PressureLevel::kWarning) << mib;
    }
    // Who frees less has not left the level, and is asked for the rest.
    g_heap.on_tell = [] {};
    look_at(80);
    std::this_thread::sleep_for(std::chrono::milliseconds(110));
    EXPECT_EQ(look_at(79), (Calls{"free 1", "tell L 1 at high", "free 1"}));
  });
}

TEST_F(GovernorTest, StopsWhereEnoughHasGone) {
  run([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    look_at(0);
    g_heap.free_bytes = 100 * kMiB;
    EXPECT_EQ(look_at(97), (Calls{"thrift", "free 19"}));
    EXPECT_EQ(held_bytes(), 78 * kMiB);
    EXPECT_EQ(state().level, PressureLevel::kEmergency) << "what it was when it looked";
    EXPECT_EQ(state().returned_bytes, 19 * kMiB);
    EXPECT_EQ(state().last_returned_bytes, 19 * kMiB);
    // What listeners free is enough.
    g_heap.free_bytes = 0;
    g_heap.on_tell = [] { g_heap.free_bytes = 19 * kMiB; };
    EXPECT_EQ(look_at(97), (Calls{"free 19", "tell L 19 at emergency", "free 19"}));
    EXPECT_EQ(state().returned_bytes, 38 * kMiB);
    // What the thread has at hand goes last, and no more is asked for than is wanted still.
    EXPECT_EQ(governor_remove_listener(listener, g_name), 0);
    g_heap.free_bytes = 6 * kMiB;
    g_heap.own_bytes = 4 * kMiB;
    EXPECT_EQ(look_at(97), (Calls{"free 19", "own", "free 13"}));
    EXPECT_EQ(state().last_returned_bytes, 10 * kMiB);
    EXPECT_EQ(held_bytes(), 87 * kMiB);
  });
}

TEST_F(GovernorTest, LooksAtSlabsWhereMoreIsFreeThanBefore) {
  run([] {
    governor_start(limited(), kHooks);
    g_heap.slab_room_bytes = kMiB - 1;
    EXPECT_EQ(look_at(85), (Calls{"free 7"})) << "too little to look for";
    g_heap.slab_room_bytes = 3 * kMiB;
    g_heap.slab_pages_bytes = 2 * kMiB;
    EXPECT_EQ(look_at(85), (Calls{"free 7", "slabs", "free 5"}));
    EXPECT_EQ(state().last_returned_bytes, 2 * kMiB);
    EXPECT_EQ(look_at(85), (Calls{"free 7"})) << "what is free was looked at";
    g_heap.slab_room_bytes += kMiB - 1;
    EXPECT_EQ(look_at(85), (Calls{"free 7"}));
    g_heap.slab_room_bytes += 1;
    EXPECT_EQ(look_at(85), (Calls{"free 7", "slabs", "free 7"}));
    // What was taken and freed again is new.
    g_heap.slab_room_bytes -= 2 * kMiB;
    EXPECT_EQ(look_at(85), (Calls{"free 7"}));
    g_heap.slab_room_bytes += 2 * kMiB;
    g_heap.slab_pages_bytes = 8 * kMiB;
    EXPECT_EQ(look_at(85), (Calls{"free 7", "slabs"})) << "enough";
  });
}

TEST_F(GovernorTest, LooksAtSlabsForAShareOfWhatIsWanted) {
  run([] {
    governor_start(limited(), kHooks);
    look_at(0);
    // 322 MiB wanted: a 64th of it is 5 and a 32nd.
    g_heap.slab_room_bytes = 5 * kMiB + 32 * kKiB - 1;
    EXPECT_EQ(look_at(400), (Calls{"thrift", "free 322", "own", "free 322"}));
    g_heap.slab_room_bytes = 5 * kMiB + 32 * kKiB;
    EXPECT_EQ(look_at(400), (Calls{"free 322", "slabs", "free 322", "own", "free 322"}));
  });
}

// A heap of so much is one that a helper is started for: it is seen as it gets there.
TEST_F(GovernorTest, ALookComesWhenTheHeapIsNotable) {
  run([] {
    GovernorSettings settings;
    settings.on = false;
    settings.notable_bytes = 40 * kMiB;
    governor_start(settings, kHooks);
    look_at(25);
    EXPECT_EQ(g_held_memory.until_look_bytes.load(), int64_t{15 * kMiB});
    look_at(39);
    EXPECT_EQ(g_held_memory.until_look_bytes.load(), int64_t{4 * kMiB}) << "not at each growth";
    look_at(40);
    EXPECT_EQ(g_held_memory.until_look_bytes.load(), int64_t{64 * kMiB});
  });
}

TEST_F(GovernorTest, LooksAgainAfterAShareOfTheRoom) {
  run([] {
    const PressureLadder ladder({70, 80, 90, 95});
    const auto until_look_bytes = [] {
      return static_cast<uint64_t>(g_held_memory.until_look_bytes.load());
    };
    governor_start(limited(), kHooks);
    EXPECT_EQ(until_look_bytes(), ladder.next_look_bytes(0, kLimit));
    for (const uint64_t mib : {0UL, 20UL, 50UL, 75UL, 99UL, 150UL}) {
      look_at(mib);
      EXPECT_EQ(until_look_bytes(), ladder.next_look_bytes(mib * kMiB, kLimit)) << mib;
      EXPECT_FALSE(look_is_due());
    }
  });
  run([] {
    GovernorSettings settings;
    settings.on = false;
    governor_start(settings, kHooks);
    EXPECT_EQ(g_held_memory.until_look_bytes.load(), int64_t{64 * kMiB});
  });
  run([] {
    GovernorSettings settings;
    settings.on = false;
    settings.soft_limit_bytes = 32 * kMiB;
    governor_start(settings, kHooks);
    EXPECT_EQ(g_held_memory.until_look_bytes.load(), int64_t{32 * kMiB});
    look_at(30);
    EXPECT_EQ(g_held_memory.until_look_bytes.load(), int64_t{2 * kMiB});
    look_at(40);
    EXPECT_EQ(g_held_memory.until_look_bytes.load(), int64_t{512 * kKiB}) << "not at each growth";
  });
}

bool asks_at(uint64_t mib) {
  const Calls calls = look_at(mib);
  return std::any_of(calls.begin(), calls.end(),
                     [](const std::string& call) { return call.starts_with("tell L "); });
}

// Whether the last of these looks asks, all of them within 100 ms. That a test can only hope for:
// again until they are.
bool asks_at_last_of(const std::vector<uint64_t>& looks_mib) {
  for (;;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(110));
    const uint64_t before_ms = monotonic_ms();
    bool asks = asks_at(looks_mib[0]);
    EXPECT_TRUE(asks) << "that long after the last time";
    for (size_t i = 1; i < looks_mib.size(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(12));
      asks = asks_at(looks_mib[i]);
    }
    if (monotonic_ms() - before_ms < 100) return asks;
  }
}

TEST_F(GovernorTest, AsksListenersAgainAfterTimeOrGrowth) {
  run_slowly([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    EXPECT_FALSE(asks_at_last_of({85, 85}));
    EXPECT_TRUE(asks_at_last_of({85, 86})) << "it has grown since";
    EXPECT_FALSE(asks_at_last_of({86, 85}));
    EXPECT_TRUE(asks_at_last_of({86, 83, 84})) << "from what it has shrunk to";
    EXPECT_FALSE(asks_at_last_of({86, 84, 84}));
  });
}

// However much comes and goes: what a listener drops must not be dropped for nothing.
TEST_F(GovernorTest, AsksListenersAHundredTimesASecondAtMost) {
  run_slowly([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    const uint64_t begin_ms = monotonic_ms();
    uint64_t asked = 0;
    for (int i = 0; i < 2000; ++i) asked += asks_at(i % 2 == 0 ? 88 : 82);
    EXPECT_GE(asked, 1U);
    EXPECT_LE(asked, (monotonic_ms() - begin_ms) / 10 + 1);
  });
}

TEST_F(GovernorTest, AnAlarmAsksFromAWarningOn) {
  run([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    // The first sample lies above the level that is feared.
    EXPECT_EQ(look_at(92), (Calls{"thrift", "free 18", "tell L 18 at critical", "free 18"}))
        << "what is too much, and a bite of what is above a warning";
    EXPECT_TRUE(state().outlook.alarm);
    EXPECT_EQ(governor_remove_listener(listener, g_name), 0);
    EXPECT_EQ(look_at(75), (Calls{"no thrift", "free 4"})) << "a bite";
    EXPECT_EQ(look_at(71), (Calls{"free 3"})) << "until the level is left";
    EXPECT_EQ(look_at(69), (Calls{"free 1"}));
    EXPECT_EQ(state().level, PressureLevel::kWarning);
    EXPECT_EQ(look_at(68), Calls()) << "but not without a level";
    EXPECT_TRUE(state().outlook.alarm);
    EXPECT_EQ(look_at(69), Calls());
  });
}

TEST_F(GovernorTest, WithinAListenerNobodyLooks) {
  run([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    bool was_told = false;
    g_heap.on_tell = [&] {
      was_told = true;
      const uint64_t looks = state().looks;
      EXPECT_TRUE(charge(20 * kMiB, Charge::kBlock));
      EXPECT_TRUE(look_is_due());
      const Calls before = g_heap.calls;
      governor_look();
      governor_refresh();
      PressureState now;
      governor_state(&now, 0);
      EXPECT_EQ(now.looks, looks);
      EXPECT_EQ(now.level, PressureLevel::kHigh) << "what it is told is what it reads";
      EXPECT_EQ(g_heap.calls, before);
      std::thread([] { governor_look(); }).join();
      EXPECT_EQ(state().looks, looks);
      EXPECT_EQ(g_heap.calls, before);
      char other[] = "M";
      EXPECT_EQ(governor_add_listener(listener, other), 0);
      EXPECT_EQ(governor_remove_listener(listener, other), 0);
      EXPECT_EQ(governor_remove_listener(listener, g_name), 0);
    };
    look_at(85);
    EXPECT_TRUE(was_told);
    EXPECT_TRUE(look_is_due()) << "what it has allocated is looked at after";
    const uint64_t looks = state().looks;
    governor_look();
    EXPECT_EQ(state().looks, looks + 1);
    EXPECT_EQ(state().level, PressureLevel::kEmergency);
  });
}

TEST_F(GovernorTest, KeepsErrno) {
  run([] {
    governor_start(limited(), kHooks);
    hold(97);
    errno = 77;
    governor_look();
    EXPECT_FALSE(g_heap.calls.empty());
    EXPECT_EQ(errno, 77);
    governor_refresh();
    EXPECT_EQ(errno, 77);
    PressureState now;
    governor_state(&now, 0);
    EXPECT_EQ(errno, 77);
  });
}

TEST_F(GovernorTest, AStateIsAsOldAsTheCallerLikes) {
  run([] {
    governor_start(limited(), kHooks);
    look_at(75);
    hold(10);
    PressureState now;
    governor_state(&now, UINT64_MAX);
    EXPECT_EQ(now.level, PressureLevel::kWarning);
    EXPECT_EQ(now.looks, 1U);
    governor_state(&now, 0);
    EXPECT_EQ(now.level, PressureLevel::kNone);
    EXPECT_EQ(now.looks, 2U);
  });
}

TEST_F(GovernorTest, OffLooksAtNoLimitAndOpensNothing) {
  run([] {
    const std::set<int> before = test::open_descriptors();
    GovernorSettings settings = limited(kMiB);
    settings.on = false;
    governor_start(settings, kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    EXPECT_EQ(look_at(500), Calls());
    governor_refresh();
    EXPECT_EQ(test::open_descriptors(), before);
    EXPECT_EQ(state().reading.source, MemorySource::kNone);
    EXPECT_EQ(state().level, PressureLevel::kNone);
    EXPECT_EQ(state().held_bytes, 500 * kMiB);
    EXPECT_TRUE(charge(65 * kMiB, Charge::kBlock));
    governor_look();
    EXPECT_EQ(g_heap.calls, Calls{"grown"}) << "that is all it says";
  });
}

TEST_F(GovernorTest, SoftLimitIsKeptOrSaidOnce) {
  run([this] {
    const std::string file = redirect_stderr();
    GovernorSettings settings;
    settings.on = false;
    settings.soft_limit_bytes = 64 * kMiB;
    governor_start(settings, kHooks);
    EXPECT_EQ(look_at(64), Calls());
    g_heap.free_bytes = 20 * kMiB;
    EXPECT_EQ(look_at(80), Calls{"free 16"});
    EXPECT_EQ(held_bytes(), 64 * kMiB);
    EXPECT_EQ(state().returned_bytes, 16 * kMiB);
    EXPECT_EQ(contents(file), "") << "that was enough";
    g_heap.slab_room_bytes = 5 * kMiB;
    g_heap.slab_pages_bytes = 2 * kMiB;
    EXPECT_EQ(look_at(80), (Calls{"free 16", "slabs", "free 10"}));
    const std::string line =
        "elasticpool: the heap holds 74 MiB, more than MEMPOOL_SOFT_LIMIT (64 MiB), and all of it "
        "is in use\n";
    EXPECT_EQ(contents(file), line);
    EXPECT_EQ(look_at(90), Calls{"free 26"}) << "it goes on to try";
    EXPECT_EQ(contents(file), line) << "and says no more";
  });
}

TEST_F(GovernorTest, SoftLimitBesideALimit) {
  run([this] {
    redirect_stderr();
    GovernorSettings settings = limited();
    settings.soft_limit_bytes = 50 * kMiB;
    governor_start(settings, kHooks);
    EXPECT_EQ(look_at(60), Calls{"free 10"});
    EXPECT_EQ(look_at(85), (Calls{"free 7", "free 35"}));
  });
}

TEST_F(GovernorTest, HardLimitHasAReserveForSlabs) {
  for (const bool on : {true, false}) {
    run([on] {
      GovernorSettings settings;
      settings.on = on;
      settings.hard_limit_bytes = 640 * kMiB;
      governor_start(settings, kHooks);
      EXPECT_TRUE(charge(640 * kMiB, Charge::kBlock));
      EXPECT_FALSE(charge(1, Charge::kBlock));
      EXPECT_TRUE(charge(10 * kMiB, Charge::kSlab)) << "a 64th";
      EXPECT_FALSE(charge(1, Charge::kSlab));
      governor_look();
      EXPECT_FALSE(charge(1, Charge::kSlab)) << "a look leaves it as it is";
    });
  }
  run([] {
    GovernorSettings settings;
    settings.hard_limit_bytes = kMiB;
    governor_start(settings, kHooks);
    EXPECT_TRUE(charge(kMiB + 512 * kKiB, Charge::kSlab)) << "at least so much";
    EXPECT_FALSE(charge(1, Charge::kSlab));
  });
  run([] {
    governor_start(limited(kMiB), kHooks);
    EXPECT_TRUE(charge(kGiB, Charge::kBlock)) << "MEMPOOL_LIMIT refuses nothing";
  });
}

TEST_F(GovernorTest, AlertsOfALevel) {
  run([this] {
    const std::string file = path("alerts");
    set_alert_target(file.c_str(), nullptr);
    governor_start(limited(), kHooks);
    look_at(10);
    EXPECT_EQ(contents(file), "");
    look_at(75);
    look_at(85);
    EXPECT_EQ(contents(file), "elasticpool: process " + std::to_string(getpid()) +
                                  ": memory pressure warning: 75 MiB of 100 MiB are used "
                                  "(MEMPOOL_LIMIT)\n");
  });
}

// Another thread was asking a listener when the process forked.
TEST_F(GovernorTest, TheChildOfAForkBeginsAnew) {
  run([] {
    governor_start(limited(), kHooks);
    EXPECT_EQ(governor_add_listener(listener, g_name), 0);
    std::atomic<bool> is_told{false};
    std::atomic<bool> may_end{false};
    g_heap.on_tell = [&] {
      is_told = true;
      while (!may_end) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    std::thread teller([] { look_at(85); });
    while (!is_told) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    governor_lock_for_fork();
    const int status = test::in_child([] {
      alarm(60);
      governor_unlock_after_fork(true);
      const uint64_t looks = state().looks;
      EXPECT_EQ(governor_remove_listener(listener, g_name), 0) << "the parent's is not waited for";
      EXPECT_EQ(look_at(10), Calls());
      EXPECT_EQ(look_at(91), (Calls{"thrift", "free 13"})) << "nobody is busy here";
      EXPECT_EQ(state().looks, looks + 2);
      EXPECT_EQ(state().reading.limit_bytes, kLimit);
    });
    governor_unlock_after_fork(false);
    EXPECT_EQ(status, 0);
    const uint64_t looks = state().looks;
    governor_look();
    EXPECT_EQ(state().looks, looks) << "here it is still told";
    may_end = true;
    teller.join();
    governor_look();
    EXPECT_EQ(state().looks, looks + 1);
  });
}

}  // namespace
}  // namespace elasticpool
