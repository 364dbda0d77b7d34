// Magazines against a model: several caches, one thread; every block is in one place.
#include "magazine/thread_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <random>
#include <thread>
#include <unordered_set>
#include <vector>

#include "caches.h"
#include "magazine/capacity_pool.h"
#include "magazine/tuner.h"
#include "percpu/cpu_cache.h"
#include "tune/options.h"

namespace elasticpool {
namespace {

using test::allocate;
using test::cached_bytes;
using test::class_at;
using test::keep_busy;
using test::magazine_stats_of;
using test::release;
using test::use_classes;
using Magazines = test::CachesTest;

class Model {
 public:
  explicit Model(unsigned seed) : random_(seed) {
    for (ThreadCache*& cache : caches_) cache = make_cache();
    for (size_t i = 0; i < kClasses; ++i) served_[i] = magazine_stats_of(class_at(i)).requests;
  }

  void step() {
    const size_t index = random_() % 3 == 0 ? random_() % kClasses : random_() % 8;
    ThreadCache& cache = *caches_[random_() % kCaches];
    std::vector<void*>& live = live_[index];
    // Runs of requests and of frees, so that magazines empty and fill.
    if (random_() % 64 == 0) allocating_ = !allocating_;
    const bool allocates = (random_() % 8 != 0) == allocating_;
    if (allocates && total_ < kLiveMax) {
      void* block = allocate(cache, class_at(index));
      ASSERT_NE(block, nullptr);
      ASSERT_TRUE(all_.insert(block).second) << "handed out twice: " << block;
      live.push_back(block);
      ++served_[index];
      ++total_;
    } else if (!live.empty()) {
      std::swap(live[random_() % live.size()], live.back());
      release(cache, class_at(index), live.back());
      all_.erase(live.back());
      live.pop_back();
      --total_;
    }
    if (random_() % 100000 == 0) rebirth();
  }

  void compare() {
    for (size_t i = 0; i < kClasses; ++i) {
      const MagazineStats stats = magazine_stats_of(class_at(i));
      ASSERT_EQ(stats.requests, served_[i]) << "class " << i;
      ASSERT_LE(stats.missed, stats.requests);
      ASSERT_EQ(test::slab_stats_of(class_at(i)).blocks_out, live_[i].size() + stats.cached_blocks);
    }
    for (const ThreadCache* cache : caches_) {
      ASSERT_LE(cached_bytes(*cache), options().magazine_bytes);
    }
  }

  void end() {
    for (size_t i = 0; i < kClasses; ++i) {
      for (void* block : live_[i]) release(*caches_[0], class_at(i), block);
    }
    for (ThreadCache* cache : caches_) retire_cache(cache);
  }

 private:
  static constexpr size_t kCaches = 3;
  static constexpr size_t kLiveMax = 20000;

  void rebirth() {
    ThreadCache*& cache = caches_[random_() % kCaches];
    retire_cache(cache);
    cache = make_cache();
  }

  std::mt19937 random_;
  ThreadCache* caches_[kCaches];
  std::vector<void*> live_[kClasses];
  uint64_t served_[kClasses] = {};
  std::unordered_set<void*> all_;
  size_t total_ = 0;
  bool allocating_ = true;
};

TEST_F(Magazines, AgreeWithAModelOverAMillionSteps) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Model model(seed);
  for (int step = 0; step < 1'000'000 && !HasFatalFailure(); ++step) {
    model.step();
    if (step % 50'000 == 0) model.compare();
  }
  model.compare();
  model.end();
}

TEST_F(Magazines, TheBudgetOfAThreadHoldsWhateverItUses) {
  for (const char* setting : {"MEMPOOL_MAGAZINE_BYTES=64K", "MEMPOOL_MAGAZINE_BYTES=1M"}) {
    const char* const environment[] = {setting, nullptr};
    load_options(environment, false, [](const char*, size_t) {});
    ThreadCache* cache = make_cache();
    size_t most_bytes = 0;
    for (size_t i = 0; i < kClasses; ++i) {
      std::vector<void*> blocks(600);
      for (void*& block : blocks) block = allocate(*cache, class_at(i));
      for (void* block : blocks) release(*cache, class_at(i), block);
      most_bytes = std::max(most_bytes, cached_bytes(*cache));
    }
    EXPECT_LE(most_bytes, options().magazine_bytes) << setting;
    retire_cache(cache);
  }
}

void set_bound(const char* setting) {
  const char* const environment[] = {setting, nullptr};
  load_options(environment, false, [](const char*, size_t) {});
}

MagazineTable magazine_table() {
  MagazineTable table;
  magazine_stats(&table);
  return table;
}

size_t cached_bytes_of_all() {
  const MagazineTable table = magazine_table();
  size_t bytes = 0;
  for (size_t i = 0; i < kClasses; ++i) {
    bytes += table.classes[i].cached_blocks * kSizeClasses[i].block_bytes;
  }
  return bytes;
}

TEST_F(Magazines, OfThreadsThatSleepHoldTheBoundAndTheFloors) {
  constexpr size_t kThreads = 64;
  std::barrier asleep(kThreads + 1);
  std::barrier woken(kThreads + 1);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      ThreadCache* cache = make_cache();
      use_classes(*cache, 0, 40);
      asleep.arrive_and_wait();
      woken.arrive_and_wait();
      retire_cache(cache);
    });
  }
  asleep.arrive_and_wait();
  const MagazineTable table = magazine_table();
  EXPECT_EQ(table.caches, kThreads);
  EXPECT_GE(table.bound_bytes, kLeastBoundBytes);
  EXPECT_LE(table.capacity_bytes, table.bound_bytes + kThreads * kFloorBytes);
  EXPECT_LE(cached_bytes_of_all(), table.capacity_bytes);
  EXPECT_GE(table.capacity_bytes, kLeastBoundBytes / 2) << "nobody was refused for nothing";
  woken.arrive_and_wait();
  for (std::thread& thread : threads) thread.join();
}

TEST_F(Magazines, TheBoundIsAnOption) {
  set_bound("MEMPOOL_MAGAZINE_TOTAL=100K");
  ThreadCache* cache = make_cache();
  use_classes(*cache, 0, 20);
  EXPECT_LE(magazine_table().capacity_bytes, 100 * kKiB);
  EXPECT_GT(magazine_table().capacity_bytes, 50 * kKiB);
  retire_cache(cache);
}

TEST_F(Magazines, TheBoundFollowsTheSlabs) {
  ThreadCache* cache = make_cache();
  std::vector<void*> blocks(500 * kMiB / (16 * kKiB));
  for (void*& block : blocks) block = allocate(*cache, class_of_size(16 * kKiB));
  EXPECT_GE(magazine_table().bound_bytes, 10 * kMiB);
  EXPECT_LE(magazine_table().bound_bytes, 11 * kMiB);
  for (void* block : blocks) release(*cache, class_of_size(16 * kKiB), block);
  retire_cache(cache);
  release_slabs();
  EXPECT_EQ(magazine_table().bound_bytes, capacity_bound(0, 0, 0));
}

// A thread whose rush is over: it has freed all, and sleeps.
TEST_F(Magazines, WhoOnlyFreesKeepsLittle) {
  ThreadCache* cache = make_cache();
  for (int rush = 0; rush < 2; ++rush) {
    std::vector<void*> blocks[kClasses];
    size_t most_bytes = 0;
    for (size_t i = 8; i < kClasses; ++i) {
      const size_t block_bytes = block_bytes_of(class_at(i));
      blocks[i].resize(std::max<size_t>(kFreeingBytes / block_bytes / 8, 32));
      for (void*& block : blocks[i]) block = allocate(*cache, class_at(i));
      most_bytes += capacity_of(freeing_slots(block_bytes), block_bytes) * block_bytes;
    }
    keep_busy(*cache);
    EXPECT_GT(cache->capacity_bytes.get(), 128 * kKiB) << "at work";
    for (size_t i = 8; i < kClasses; ++i) {
      for (void* block : blocks[i]) release(*cache, class_at(i), block);
    }
    EXPECT_LE(most_bytes, 2 * kMiB);
    EXPECT_LE(cache->capacity_bytes.get(), most_bytes);
    EXPECT_LE(cached_bytes(*cache), most_bytes);
  }
  retire_cache(cache);
}

// Who drew first shrinks, as soon as it works again, for who is below its share.
TEST_F(Magazines, ThreadsAtWorkGetTheirShare) {
  constexpr size_t kBound = 300 * kKiB;
  set_bound("MEMPOOL_MAGAZINE_TOTAL=300K");
  ThreadCache* first = make_cache();
  keep_busy(*first);
  EXPECT_GT(first->capacity_bytes.get(), kBound * 3 / 4);
  ThreadCache* second = make_cache();
  keep_busy(*second);
  EXPECT_LT(second->capacity_bytes.get(), kBound / 4) << "the first one sleeps";
  EXPECT_LE(magazine_table().capacity_bytes, kBound + kFloorBytes);
  keep_busy(*first);
  EXPECT_LE(first->capacity_bytes.get(), kBound / 2) << "nor does it take again what it gave";
  keep_busy(*second);
  EXPECT_GT(second->capacity_bytes.get(), kBound / 4);
  EXPECT_LE(magazine_table().capacity_bytes, kBound + kFloorBytes);
  retire_cache(first);
  retire_cache(second);
}

TEST_F(Magazines, ThreadsAtWorkShrinkWithTheBound) {
  ThreadCache* cache = make_cache();
  keep_busy(*cache);
  EXPECT_GT(magazine_table().capacity_bytes, 200 * kKiB);
  set_bound("MEMPOOL_MAGAZINE_TOTAL=100K");
  keep_busy(*cache);
  EXPECT_LE(magazine_table().capacity_bytes, 100 * kKiB);
  EXPECT_GT(magazine_table().capacity_bytes, 50 * kKiB);
  retire_cache(cache);
}

// However little there is, each thread has magazines of the classes that it uses most.
TEST_F(Magazines, AThreadGetsItsFloorWhateverOthersHave) {
  ThreadCache* first = make_cache();
  use_classes(*first, 0, 40);
  std::vector<ThreadCache*> caches(100);
  for (ThreadCache*& cache : caches) {
    cache = make_cache();
    use_classes(*cache, 0, 16);
    EXPECT_GE(cache->capacity_bytes.get(), kFloorBytes / 2);
  }
  EXPECT_LE(magazine_table().capacity_bytes,
            capacity_bound(0, 0, caches.size() + 1) + caches.size() * kFloorBytes);
  for (ThreadCache* cache : caches) retire_cache(cache);
  retire_cache(first);
}

TEST_F(Magazines, WhatIsIdleForSomeBeatsIsEmptiedAtTheNextEvent) {
  ThreadCache* cache = make_cache();
  const ClassId idle = class_of_size(48);
  const ClassId busy = class_of_size(1024);
  std::vector<void*> blocks;
  const auto miss = [&](ClassId id) {
    const uint32_t events = cache->events;
    while (cache->events == events) blocks.push_back(allocate(*cache, id));
  };
  const auto release_all = [&](ClassId id) {
    for (void* block : blocks) release(*cache, id, block);
    blocks.clear();
  };
  miss(idle);
  release_all(idle);
  for (uint32_t beat = 0; beat < kIdleBeats; ++beat) beat_magazines();
  miss(busy);
  EXPECT_GT(cache->cached_blocks(idle), 0U) << "it had an event since the last look";
  for (uint32_t beat = 0; beat + 1 < kIdleBeats; ++beat) beat_magazines();
  miss(busy);
  EXPECT_GT(cache->cached_blocks(idle), 0U) << "too early";
  beat_magazines();
  miss(busy);
  EXPECT_EQ(cache->cached_blocks(idle), 0U);
  EXPECT_EQ(cache->use[index_of(idle)].slots.get(), 0U);
  EXPECT_NE(cache->use[index_of(busy)].slots.get(), 0U);
  release_all(busy);
  retire_cache(cache);
}

TEST_F(Magazines, AClassThatMissesOftenGrows) {
  ThreadCache* cache = make_cache();
  const ClassId id = class_of_size(32);
  std::vector<void*> blocks(20000);
  for (void*& block : blocks) block = allocate(*cache, id);
  EXPECT_EQ(cache->use[index_of(id)].slots.get(), kSlotsMax);
  for (void* block : blocks) release(*cache, id, block);
  EXPECT_LE(cache->cached_blocks(id), capacity_of(kSlotsMax, 32));
  retire_cache(cache);
}

TEST_F(Magazines, AnIdleClassIsEmptiedAndLosesItsArray) {
  ThreadCache* cache = make_cache();
  const ClassId idle = class_of_size(48);
  const ClassId busy = class_of_size(32 * kKiB);
  release(*cache, idle, allocate(*cache, idle));
  EXPECT_GT(cache->cached_blocks(idle), 0U);
  std::vector<void*> blocks;
  // Large blocks have short magazines: a miss every few requests.
  for (uint32_t i = 0; i < 10 * (kIdleEvents + kTickEvents); ++i) {
    blocks.push_back(allocate(*cache, busy));
  }
  EXPECT_EQ(cache->cached_blocks(idle), 0U);
  EXPECT_EQ(cache->use[index_of(idle)].slots.get(), 0U);
  for (void* block : blocks) release(*cache, busy, block);
  retire_cache(cache);
}

TEST_F(Magazines, RetireReturnsEverythingAndKeepsTheSums) {
  const ClassId id = class_of_size(256);
  const uint64_t before = magazine_stats_of(id).requests;
  ThreadCache* cache = make_cache();
  std::vector<void*> blocks(100);
  for (void*& block : blocks) block = allocate(*cache, id);
  for (void* block : blocks) release(*cache, id, block);
  EXPECT_GT(test::slab_stats_of(id).blocks_out, 0U);
  retire_cache(cache);
  EXPECT_EQ(test::slab_stats_of(id).blocks_out, 0U);
  EXPECT_EQ(magazine_stats_of(id).requests, before + blocks.size());
}

// Status 0: the child counts what the other thread had as lost, and its requests still.
void end_as_child_of_a_fork(ThreadCache* survivor, ClassId id, const MagazineStats& before) {
  const uint64_t kept_blocks = survivor == &g_vacant_cache ? 0 : survivor->cached_blocks(id);
  threads_lock_for_fork();
  threads_unlock_after_fork(true, survivor);
  // A thread that is born in the child is not lost.
  retire_cache(make_cache());
  MagazineTable table;
  magazine_stats(&table);
  const MagazineStats& now = table.classes[index_of(id)];
  const uint64_t caches = survivor == &g_vacant_cache ? 0 : 1;
  _exit((now.requests != before.requests) + 2 * (now.cached_blocks != kept_blocks) +
        4 * (now.lost_blocks != before.cached_blocks - kept_blocks) +
        8 * (table.caches != caches || table.lost_caches != 2 - caches) +
        16 * (table.capacity_bytes != survivor->capacity_bytes.get()));
}

TEST_F(Magazines, OfOtherThreadsAreLostInAChildAndStillCounted) {
  const ClassId id = class_of_size(256);
  ThreadCache* caches[] = {make_cache(), make_cache()};
  for (ThreadCache* cache : caches) {
    std::vector<void*> blocks(100);
    for (void*& block : blocks) block = allocate(*cache, id);
    for (void* block : blocks) release(*cache, id, block);
  }
  const MagazineStats before = magazine_stats_of(id);
  for (ThreadCache* survivor : {caches[0], caches[1], &g_vacant_cache}) {
    EXPECT_EXIT(end_as_child_of_a_fork(survivor, id, before), testing::ExitedWithCode(0), "");
  }
  for (ThreadCache* cache : caches) retire_cache(cache);
}

TEST_F(Magazines, WithoutMemoryForAnArrayBlocksGoOneByOne) {
  ThreadCache* cache = make_cache();
  const ClassId id = class_of_size(64);
  std::vector<void*> blocks;
  {
    const test::Refusal refusal;
    while (void* block = allocate(*cache, id)) blocks.push_back(block);
    EXPECT_EQ(allocate(*cache, id), nullptr);
  }
  EXPECT_EQ(test::slab_stats_of(id).blocks_out - magazine_stats_of(id).cached_blocks,
            blocks.size());
  void* block = allocate(*cache, id);
  EXPECT_NE(block, nullptr);
  blocks.push_back(block);
  for (void* each : blocks) release(*cache, id, each);
  retire_cache(cache);
}

SlabPeak slab_peak() {
  MagazineTable table;
  magazine_stats(&table);
  return table.slab_peak;
}

uint64_t sum_of_slab_bytes() {
  uint64_t bytes = 0;
  for (size_t i = 0; i < kClasses; ++i) {
    bytes += test::slab_stats_of(class_at(i)).slabs * kSizeClasses[i].slab_bytes;
  }
  return bytes;
}

// Two threads' caches, one that is born again now and then, and blocks that no cache has seen.
TEST_F(Magazines, ThePeakOfTheSlabsSaysExactlyWhatWasLive) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  ThreadCache* caches[] = {make_cache(), make_cache()};
  std::vector<void*> live[kClasses];
  uint64_t live_bytes = 0;
  SlabPeak last = slab_peak();
  // The tests before have left a peak of theirs.
  const uint64_t goal_bytes = 2 * last.slab_bytes + 32 * kMiB;
  unsigned peaks = 0;
  while (last.slab_bytes < goal_bytes && !HasFailure()) {
    const size_t index = random() % kClasses;
    const ClassId id = class_at(index);
    ThreadCache*& cache = caches[random() % 2];
    // Before the step, not after: what a peak says is compared with the caches that saw it.
    if (random() % 4096 == 0) {
      retire_cache(cache);
      cache = make_cache();
    }
    if (random() % 4 != 0 || live[index].empty()) {
      live[index].push_back(random() % 16 == 0 ? take_one(id) : allocate(*cache, id));
      live_bytes += block_bytes_of(id);
    } else if (random() % 16 == 0) {
      put_one(id, live[index].back());
      live[index].pop_back();
      live_bytes -= block_bytes_of(id);
    } else {
      release(*cache, id, live[index].back());
      live[index].pop_back();
      live_bytes -= block_bytes_of(id);
    }
    const SlabPeak peak = slab_peak();
    if (peak.slab_bytes == last.slab_bytes) continue;
    ++peaks;
    EXPECT_GE(peak.slab_bytes, last.slab_bytes + kPeakStepBytes);
    EXPECT_EQ(peak.slab_bytes, sum_of_slab_bytes());
    EXPECT_EQ(peak.live_bytes, live_bytes);
    EXPECT_EQ(peak.most_live_bytes, std::max(live_bytes, last.most_live_bytes));
    EXPECT_EQ(peak.cached_bytes, cached_bytes(*caches[0]) + cached_bytes(*caches[1]));
    last = peak;
  }
  EXPECT_GT(peaks, 30U);
  for (size_t i = 0; i < kClasses; ++i) {
    for (void* block : live[i]) release(*caches[0], class_at(i), block);
  }
  for (ThreadCache* cache : caches) retire_cache(cache);
  EXPECT_EQ(slab_peak().slab_bytes, last.slab_bytes) << "what goes is no peak";
}

// What another thread may read while the owner moves a magazine to another array.
TEST(CachedBlocks, OfTwoArraysAreAtMostWhatOneHolds) {
  const ClassId id = class_at(1);
  for (const bool top_is_above : {false, true}) {
    ThreadCache cache;
    cache.use[1].base.set(top_is_above ? 1000 : 9000);
    cache.set_top_slot(magazine_of(id), top_is_above ? 9005 : 1005);
    EXPECT_EQ(cache.cached_blocks(id), 0U);
    cache.use[1].slots.set(kSlotsMin);
    EXPECT_LT(cache.cached_blocks(id), kSlotsMin);
  }
}

TEST_F(Magazines, TheVacantCacheIsEmptyAndFullAndNobodyWritesToIt) {
  for (size_t magazine = 0; magazine < kMagazines; ++magazine) {
    const uint16_t top = g_vacant_cache.top_slot(magazine);
    EXPECT_EQ(g_vacant_cache.slot(top), 0U);
    EXPECT_EQ(top, g_vacant_cache.limit[magazine]);
  }
  for (const uint8_t magazine : g_vacant_cache.magazine_by_bytes) EXPECT_EQ(magazine, 0);
  void* block = take_one(class_at(5));
  ASSERT_NE(block, nullptr);
  put_one(class_at(5), block);
  EXPECT_EQ(g_vacant_cache.events, 0U);
}

}  // namespace
}  // namespace elasticpool
