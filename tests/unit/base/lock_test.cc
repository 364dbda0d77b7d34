// base/lock.h: one holder at a time, waiters that sleep are woken, ranks are kept.
#include "base/lock.h"

#include <gtest/gtest.h>

#include <csignal>
#include <thread>
#include <vector>

namespace elasticpool {
namespace {

std::atomic<int> g_waits{0};
std::atomic<int> g_wakes{0};

// The hooks of these tests sleep in the C++ library.
void wait(std::atomic<uint32_t>* word, uint32_t value) {
  ++g_waits;
  word->wait(value);
}
void wake_one(std::atomic<uint32_t>* word) {
  ++g_wakes;
  word->notify_one();
}

// To another thread.
bool is_free(Lock& lock) {
  bool taken = false;
  std::thread([&] {
    if (!lock.try_lock()) return;
    taken = true;
    lock.unlock();
  }).join();
  return taken;
}

// With hooks and without.
class LockTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    g_waits = 0;
    g_wakes = 0;
    set_lock_hooks(GetParam() ? LockHooks{wait, wake_one} : LockHooks{nullptr, nullptr});
  }
  void TearDown() override { set_lock_hooks({nullptr, nullptr}); }
};

INSTANTIATE_TEST_SUITE_P(Hooks, LockTest, testing::Bool(),
                         [](const auto& hooks) { return hooks.param ? "Sleeping" : "Spinning"; });

struct Counter {
  Lock lock{LockRank::kNode};
  // Two that must agree: an increment that another thread interrupts shows in one of them.
  uint64_t first EP_GUARDED_BY(lock) = 0;
  uint64_t second EP_GUARDED_BY(lock) = 0;
  uint64_t torn EP_GUARDED_BY(lock) = 0;

  void count() EP_REQUIRES(lock) {
    torn += first != second;
    first = first + 1;
    if (first % 64 == 0) std::this_thread::yield();
    second = second + 1;
  }
};

TEST_P(LockTest, OneHolderAtATime) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 4000;
  Counter counter;
  std::atomic<uint64_t> missed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRounds; ++i) {
        if (i % 2 == 0) {
          LockGuard guard(counter.lock);
          counter.count();
        } else if (counter.lock.try_lock()) {
          counter.count();
          counter.lock.unlock();
        } else {
          ++missed;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  LockGuard guard(counter.lock);
  EXPECT_EQ(counter.torn, 0U);
  EXPECT_EQ(counter.first, counter.second);
  EXPECT_EQ(counter.first + missed, static_cast<uint64_t>(kThreads) * kRounds);
}

TEST_P(LockTest, TryLockFailsWhileHeld) {
  Lock lock{LockRank::kMeta};
  EXPECT_TRUE(is_free(lock));
  lock.lock();
  EXPECT_FALSE(is_free(lock));
  lock.unlock();
  EXPECT_TRUE(is_free(lock));
}

TEST(Lock, SleeperIsWoken) {
  g_waits = 0;
  g_wakes = 0;
  set_lock_hooks({wait, wake_one});
  Lock lock{LockRank::kMeta};
  std::atomic<int> passed{0};
  lock.lock();
  std::vector<std::thread> waiters;
  for (int t = 0; t < 3; ++t) {
    waiters.emplace_back([&] {
      LockGuard guard(lock);
      ++passed;
    });
  }
  while (g_waits < 3) std::this_thread::yield();
  EXPECT_EQ(passed, 0);
  lock.unlock();
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_EQ(passed, 3);
  EXPECT_GE(g_wakes, 3);
  set_lock_hooks({nullptr, nullptr});
}

// A second lock of the same thread, as of a handler of fork that allocates.
void lock_and_unlock(Lock& lock) { const LockGuard guard(lock); }

TEST(LockFork, TakenBeforeAndGivenBackAfter) {
  Lock lock{LockRank::kMeta};
  for (const bool in_child : {false, true}) {
    lock.lock_for_fork();
    EXPECT_FALSE(is_free(lock));
    lock.unlock_after_fork(in_child);
    EXPECT_TRUE(is_free(lock));
  }
}

TEST(LockFork, HandlersMayAllocateMeanwhile) {
  Lock lock{LockRank::kMeta};
  Lock untaken{LockRank::kMeta};
  lock.lock_for_fork();
  Lock::begin_fork();
  lock_and_unlock(lock);
  lock_and_unlock(lock);
  EXPECT_FALSE(is_free(lock)) << "a handler gave it to others";
  lock_and_unlock(untaken);
  EXPECT_TRUE(is_free(untaken));
  Lock::end_fork();
  EXPECT_FALSE(is_free(lock));
  lock.unlock_after_fork(false);
  EXPECT_TRUE(is_free(lock));
  // Nothing is left of it in a later fork.
  Lock::begin_fork();
  lock_and_unlock(lock);
  Lock::end_fork();
  EXPECT_TRUE(is_free(lock));
}

TEST(LockFork, WhatTheThreadHeldItKeeps) {
  Lock lock{LockRank::kMeta};
  for (const bool in_child : {false, true}) {
    lock.lock();
    lock.lock_for_fork();
    Lock::begin_fork();
    [&]() EP_NO_THREAD_SAFETY_ANALYSIS { lock_and_unlock(lock); }();
    EXPECT_FALSE(is_free(lock)) << "a handler gave it to others";
    Lock::end_fork();
    lock.unlock_after_fork(in_child);
    EXPECT_FALSE(is_free(lock)) << "the interrupted malloc is not done";
    lock.unlock();
    EXPECT_TRUE(is_free(lock));
  }
}

TEST(LockFork, WaiterOfTheParentIsWoken) {
  g_waits = 0;
  set_lock_hooks({wait, wake_one});
  Lock lock{LockRank::kMeta};
  lock.lock_for_fork();
  std::thread waiter([&] { lock_and_unlock(lock); });
  while (g_waits == 0) std::this_thread::yield();
  lock.unlock_after_fork(false);
  waiter.join();
  set_lock_hooks({nullptr, nullptr});
}

#if defined(EP_CHECKS_FULL)
TEST(LockDeathTest, RanksRise) {
  Lock low{LockRank::kCpu};
  Lock high{LockRank::kLarge};
  Lock also_high{LockRank::kLarge};
  {
    LockGuard first(low);
    LockGuard second(high);
    LockGuard third(also_high);
  }
  const auto fall = [&] {
    LockGuard first(high);
    LockGuard second(low);
  };
  EXPECT_EXIT(fall(), testing::KilledBySignal(SIGABRT), "");
  // Nothing is left of what was held before.
  LockGuard again(low);
}
#endif

}  // namespace
}  // namespace elasticpool
