// os/sync.h: locks whose waiters sleep in the kernel.
#include "os/sync.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

#include "base/lock.h"

namespace elasticpool {
namespace {

struct Counter {
  Lock lock{LockRank::kMeta};
  uint64_t value EP_GUARDED_BY(lock) = 0;
};

TEST(Sync, WaitersSleepAndAreWoken) {
  install_lock_hooks();
  constexpr uint64_t kRounds = 5000;
  constexpr uint64_t kThreads = 4;
  Counter counter;
  std::vector<std::thread> threads;
  counter.lock.lock();
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (uint64_t i = 0; i < kRounds; ++i) {
        LockGuard guard(counter.lock);
        if (i % 32 == 0) std::this_thread::yield();
        counter.value = counter.value + 1;
      }
    });
  }
  // Long enough that all of them are asleep at most times; right in any case.
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(counter.value, 0U);
  counter.lock.unlock();
  for (std::thread& thread : threads) thread.join();
  LockGuard guard(counter.lock);
  EXPECT_EQ(counter.value, kThreads * kRounds);
}

}  // namespace
}  // namespace elasticpool
