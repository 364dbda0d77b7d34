// percpu/ under threads: contents are checked, blocks change hands, slabs come and go.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "percpu/cpu_cache.h"
#include "percpu_zones.h"

namespace elasticpool {
namespace {

constexpr size_t kThreads = 4;
constexpr size_t kIndices[] = {0, 3, 20, 40, kClasses - 1};

ClassId class_at(size_t index) { return ClassId{static_cast<uint8_t>(index)}; }

struct Shared {
  std::mutex mutex;
  std::vector<void*> blocks[std::size(kIndices)];
  std::atomic<uint64_t> broken{0};
};

// Both ends of a block in use hold its address.
void stamp(ClassId id, void* block) {
  auto* words = static_cast<uintptr_t*>(block);
  words[0] = address_of(block);
  words[block_bytes_of(id) / sizeof *words - 1] = address_of(block);
}

bool unstamp(ClassId id, void* block) {
  auto* words = static_cast<uintptr_t*>(block);
  uintptr_t& last = words[block_bytes_of(id) / sizeof *words - 1];
  const bool whole = words[0] == address_of(block) && last == address_of(block);
  words[0] = last = 0;
  return whole;
}

void churn(Shared& shared, unsigned seed, int steps) {
  std::mt19937 random(seed);
  for (int step = 0; step < steps; ++step) {
    const size_t which = random() % std::size(kIndices);
    const ClassId id = class_at(kIndices[which]);
    void* batch[32];
    size_t count = 1 + random() % std::size(batch);
    if (random() % 2 == 0) {
      count = take_blocks(id, batch, count);
      for (size_t i = 0; i < count; ++i) stamp(id, batch[i]);
      const std::lock_guard guard(shared.mutex);
      shared.blocks[which].insert(shared.blocks[which].end(), batch, batch + count);
      continue;
    }
    {
      const std::lock_guard guard(shared.mutex);
      std::vector<void*>& blocks = shared.blocks[which];
      count = std::min(count, blocks.size());
      for (size_t i = 0; i < count; ++i) {
        std::swap(blocks[random() % blocks.size()], blocks.back());
        batch[i] = blocks.back();
        blocks.pop_back();
      }
    }
    for (size_t i = 0; i < count; ++i) shared.broken += !unstamp(id, batch[i]);
    put_blocks(id, batch, count);
    if (random() % 256 == 0) release_slabs();
    if (random() % 512 == 0) choose_cpu_caches(1 + random() % kThreads);
  }
}

TEST(PercpuThreads, NoBlockIsLostOrSharedWhileHandsChange) {
  test::plan_test_zones();
  choose_cpu_caches(kThreads);
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Shared shared;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] { churn(shared, seed + i, 30000); });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t which = 0; which < std::size(kIndices); ++which) {
    const ClassId id = class_at(kIndices[which]);
    std::vector<void*>& blocks = shared.blocks[which];
    EXPECT_EQ(test::slab_stats_of(id).blocks_out, blocks.size());
    for (void* block : blocks) shared.broken += !unstamp(id, block);
    put_blocks(id, blocks.data(), blocks.size());
  }
  EXPECT_EQ(shared.broken, 0U);
  release_slabs();
  for (const size_t index : kIndices) EXPECT_EQ(test::slab_stats_of(class_at(index)).slabs, 0U);
}

// Each number is right of its moment: a slab that moves between its bin and a CPU while it is
// counted must not be subtracted twice.
TEST(PercpuThreads, StatisticsNeverCountMoreBlocksThanThereAre) {
  test::plan_test_zones();
  const ClassId id = class_of_size(16);
  const size_t per_slab = size_class(id).blocks_per_slab;
  std::vector<void*> blocks(2 * per_slab);
  std::atomic<bool> stop{false};
  // Two slabs go from nearly empty to full and back: from their bin to the CPU and back.
  std::thread churner([&] {
    while (!stop) {
      size_t taken = 0;
      while (taken < blocks.size()) taken += take_blocks(id, &blocks[taken], blocks.size() - taken);
      put_blocks(id, &blocks[1], per_slab - 1);
      put_blocks(id, &blocks[per_slab + 1], per_slab - 1);
      // One block alone leaves the slab current, with nearly all of its blocks.
      taken = take_blocks(id, &blocks[1], 1);
      while (taken < per_slab - 1)
        taken += take_blocks(id, &blocks[1 + taken], per_slab - 1 - taken);
      put_blocks(id, blocks.data(), per_slab);
      put_blocks(id, &blocks[per_slab], 1);
    }
  });
  uint64_t impossible = 0;
  for (int i = 0; i < 20000; ++i) {
    const SlabStats stats = test::slab_stats_of(id);
    impossible += stats.blocks_out > 4 * per_slab;
  }
  stop = true;
  churner.join();
  EXPECT_EQ(impossible, 0U);
  release_slabs();
}

}  // namespace
}  // namespace elasticpool
