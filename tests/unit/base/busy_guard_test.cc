// base/busy_guard.h: one at a time, and nobody waits.
#include "base/busy_guard.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace elasticpool {
namespace {

TEST(BusyGuard, IsTakenOnce) {
  std::atomic<bool> busy{false};
  {
    const BusyGuard first(busy);
    EXPECT_TRUE(first.taken());
    {
      const BusyGuard second(busy);
      EXPECT_FALSE(second.taken());
    }
    const BusyGuard third(busy);
    EXPECT_FALSE(third.taken()) << "who did not get it does not give it back";
    bool other_taken = true;
    std::thread([&] { other_taken = BusyGuard(busy).taken(); }).join();
    EXPECT_FALSE(other_taken);
  }
  EXPECT_TRUE(BusyGuard(busy).taken());
  EXPECT_TRUE(BusyGuard(busy).taken());
}

TEST(BusyGuard, TheChildOfAForkResetsIt) {
  std::atomic<bool> busy{true};
  EXPECT_FALSE(BusyGuard(busy).taken());
  reset_busy(busy);
  EXPECT_TRUE(BusyGuard(busy).taken());
}

// Under a thread sanitizer a wrong order shows as well.
TEST(BusyGuard, OnlyOneIsInside) {
  std::atomic<bool> busy{false};
  std::atomic<int> inside{0};
  std::atomic<uint64_t> entered{0};
  uint64_t plain = 0;
  const auto enter = [&] {
    for (int i = 0; i < 50'000; ++i) {
      const BusyGuard guard(busy);
      if (!guard.taken()) continue;
      EXPECT_EQ(inside.fetch_add(1), 0);
      ++plain;
      ++entered;
      inside.fetch_sub(1);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back(enter);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(plain, entered);
  EXPECT_GT(plain, 0U);
}

}  // namespace
}  // namespace elasticpool
