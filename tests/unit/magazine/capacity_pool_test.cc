// magazine/capacity_pool.h: what threads draw and give back at once never goes over the bound and
// their floors, and comes out even.
#include "magazine/capacity_pool.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>
#include <vector>

#include "magazine/tuner.h"
#include "slab/size_classes.h"

namespace elasticpool {
namespace {

TEST(CapacityPool, BoundAndShare) {
  EXPECT_EQ(capacity_bound(0, 0, 0), kLeastBoundBytes);
  EXPECT_EQ(capacity_bound(0, 0, 4), 5 * kMiB);
  EXPECT_EQ(capacity_bound(0, 400 * kMiB, 1000), kBoundBytesByThreadsMax);
  EXPECT_EQ(capacity_bound(0, 1000 * kMiB, 4), 20 * kMiB);
  EXPECT_EQ(capacity_bound(4096, 1000 * kMiB, 4), 4096U);
  EXPECT_EQ(fair_share(kMiB, 0), kMiB);
  EXPECT_EQ(fair_share(kMiB, 1), kMiB);
  EXPECT_EQ(fair_share(kMiB, 4), kMiB / 4);
  EXPECT_EQ(fair_share(kMiB, 1000), kFloorBytes);
}

TEST(CapacityPool, TheFloorHoldsTheSmallestArraysOfSmallClasses) {
  size_t bytes = 0;
  for (const SizeClass& c : kSizeClasses) {
    if (c.block_bytes <= 256) bytes += capacity_of(kSlotsMin, c.block_bytes) * c.block_bytes;
  }
  EXPECT_LE(bytes, kFloorBytes);
}

TEST(CapacityPool, DrawsUpToTheBoundAndThenToTheFloor) {
  CapacityPool pool;
  EXPECT_EQ(pool.room_bytes(0, kMiB), kMiB);
  EXPECT_TRUE(pool.draw(kMiB, 0, kMiB));
  EXPECT_EQ(pool.room_bytes(kMiB, kMiB), 0U);
  EXPECT_FALSE(pool.draw(1, kMiB, kMiB));
  EXPECT_EQ(pool.bytes(), kMiB);
  // Another thread.
  EXPECT_EQ(pool.room_bytes(0, kMiB), kFloorBytes);
  EXPECT_TRUE(pool.draw(kFloorBytes, 0, kMiB));
  EXPECT_FALSE(pool.draw(1, kFloorBytes, kMiB));
  EXPECT_FALSE(pool.draw(kFloorBytes, 1, kMiB));
  EXPECT_EQ(pool.bytes(), kMiB + kFloorBytes);
  pool.give(kMiB);
  EXPECT_EQ(pool.room_bytes(kFloorBytes, kMiB), kMiB - kFloorBytes);
  pool.give(kFloorBytes);
  EXPECT_EQ(pool.bytes(), 0U);
}

TEST(CapacityPool, ASumThatAForkLeftTooSmallIsNone) {
  CapacityPool pool;
  pool.restart(100);
  pool.want();
  pool.give(1000);
  EXPECT_EQ(pool.bytes(), 0U);
  EXPECT_EQ(pool.room_bytes(0, kMiB), kMiB);
  EXPECT_TRUE(pool.is_wanted());
  pool.restart(0);
  EXPECT_FALSE(pool.is_wanted());
}

TEST(CapacityPool, ManyThreadsNeverHoldMore) {
  constexpr size_t kThreads = 8;
  constexpr size_t kBound = 100 * kKiB;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  CapacityPool pool;
  std::atomic<size_t> held{0};
  std::atomic<size_t> too_much{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(seed + t);
      size_t own = 0;
      for (int step = 0; step < 100'000; ++step) {
        const size_t bytes = random() % (40 * kKiB);
        if (random() % 2 == 0 && pool.draw(bytes, own, kBound)) {
          own += bytes;
          too_much += held.fetch_add(bytes) + bytes > kBound + kThreads * kFloorBytes;
        } else if (own >= bytes) {
          held -= bytes;
          pool.give(bytes);
          own -= bytes;
        }
      }
      held -= own;
      pool.give(own);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(too_much, 0U);
  EXPECT_EQ(pool.bytes(), 0U);
}

}  // namespace
}  // namespace elasticpool
