// magazine/thread_cache.h while memory is scarce: how much of the slabs nobody has, and magazines
// that are bounded tightly.
#include <random>

#include "caches.h"
#include "magazine/capacity_pool.h"
#include "slab/quarters.h"
#include "slab/slab.h"

namespace elasticpool::test {
namespace {

// By another account: the slabs', and what lies between them.
uint64_t naive_room_bytes() {
  uint64_t out_bytes = 0;
  for (size_t i = 0; i < kClasses; ++i) {
    out_bytes += slab_stats_of(class_at(i)).blocks_out * kSizeClasses[i].block_bytes;
  }
  return slab_bytes() - out_bytes + quarter_stats().free_bytes;
}

uint64_t bound_of_all() {
  MagazineTable table;
  magazine_stats(&table);
  return table.bound_bytes;
}

class Scarcity : public CachesTest {
 protected:
  void TearDown() override {
    bound_magazines_tightly(false);
    load_options(nullptr, false, nullptr);
    CachesTest::TearDown();
  }
};

TEST_F(Scarcity, TheRoomOfSlabsIsWhatNobodyHasTaken) {
  std::mt19937 random(1122);
  ThreadCache* caches[] = {make_cache(), make_cache(), make_cache()};
  std::vector<std::pair<void*, ClassId>> live;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < 500; ++i) {
      ThreadCache& cache = *caches[random() % 3];
      if (random() % 2 == 0 || live.empty()) {
        const ClassId id = class_at(random() % kClasses);
        live.emplace_back(allocate(cache, id), id);
      } else {
        std::swap(live[random() % live.size()], live.back());
        release(cache, live.back().second, live.back().first);
        live.pop_back();
      }
    }
    if (round % 20 == 0) flush_all(*caches[random() % 3]);
    if (round % 30 == 0) release_slabs();
    ThreadCache*& reborn = caches[random() % 3];
    if (round % 25 == 0) {
      retire_cache(reborn);
      reborn = make_cache();
    }
    ASSERT_EQ(slab_room_bytes(), naive_room_bytes()) << "round " << round;
  }
  const uint64_t before_bytes = slab_room_bytes();
  void* alone = take_one(class_at(20));
  EXPECT_EQ(slab_room_bytes(), naive_room_bytes()) << "without a cache";
  put_one(class_at(20), alone);
  EXPECT_EQ(slab_room_bytes(), before_bytes);
  for (const auto& [block, id] : live) release(*caches[0], id, block);
  for (ThreadCache* cache : caches) retire_cache(cache);
  EXPECT_EQ(slab_room_bytes(), slab_bytes() + quarter_stats().free_bytes);
  EXPECT_GT(slab_room_bytes(), before_bytes);
}

TEST_F(Scarcity, MagazinesAreNoRoom) {
  ThreadCache* cache = make_cache();
  const uint64_t before_bytes = slab_room_bytes();
  const ClassId id = class_of_size(1024);
  std::vector<void*> blocks(100);
  for (void*& block : blocks) block = allocate(*cache, id);
  for (void* block : blocks) release(*cache, id, block);
  ASSERT_GT(cached_bytes(*cache), 0U);
  EXPECT_EQ(slab_room_bytes() + cached_bytes(*cache), slab_bytes() + quarter_stats().free_bytes);
  flush_all(*cache);
  EXPECT_EQ(slab_room_bytes(), slab_bytes() + quarter_stats().free_bytes);
  EXPECT_GE(slab_room_bytes(), before_bytes);
  retire_cache(cache);
}

TEST_F(Scarcity, AllThreadsHaveWhatOneAloneMayHave) {
  ThreadCache* caches[] = {make_cache(), make_cache(), make_cache(), make_cache()};
  const auto capacity_bytes = [&] {
    size_t sum = 0;
    for (const ThreadCache* cache : caches) sum += cache->capacity_bytes.get();
    return sum;
  };
  for (ThreadCache* cache : caches) keep_busy(*cache);
  const uint64_t loose_bytes = bound_of_all();
  EXPECT_EQ(loose_bytes, capacity_bound(0, slab_bytes(), 4));
  const size_t before_bytes = capacity_bytes();
  EXPECT_GT(before_bytes, kLeastBoundBytes);
  bound_magazines_tightly(true);
  EXPECT_EQ(bound_of_all(), kLeastBoundBytes);
  EXPECT_EQ(thread_share_bytes(), kLeastBoundBytes / 4);
  EXPECT_EQ(capacity_bytes(), before_bytes) << "not before the next tick";
  for (ThreadCache* cache : caches) keep_busy(*cache);
  EXPECT_LE(capacity_bytes(), kLeastBoundBytes + 4 * kFloorBytes);
  EXPECT_GT(capacity_bytes(), 4 * kFloorBytes);
  bound_magazines_tightly(false);
  EXPECT_EQ(bound_of_all(), loose_bytes);
  for (ThreadCache* cache : caches) keep_busy(*cache);
  EXPECT_EQ(capacity_bytes(), before_bytes);
  for (ThreadCache* cache : caches) retire_cache(cache);
}

// Of the option and of what is tight the lower one.
TEST_F(Scarcity, ALowerBoundOfTheUserStays) {
  for (const bool tightly : {false, true}) {
    const char* const low[] = {"MEMPOOL_MAGAZINE_TOTAL=100K", nullptr};
    load_options(low, false, nullptr);
    bound_magazines_tightly(tightly);
    EXPECT_EQ(bound_of_all(), 100 * kKiB);
    const char* const high[] = {"MEMPOOL_MAGAZINE_TOTAL=100M", nullptr};
    load_options(high, false, nullptr);
    EXPECT_EQ(bound_of_all(), tightly ? kLeastBoundBytes : 100 * kMiB);
  }
}

}  // namespace
}  // namespace elasticpool::test
