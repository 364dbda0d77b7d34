// Caches as the heap uses them, for tests: the fast path without the block map, and a fixture that
// sees to it that nothing is left out.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "magazine/thread_cache.h"
#include "os/vm.h"
#include "percpu/cpu_cache.h"
#include "percpu_zones.h"
#include "tune/options.h"

namespace elasticpool::test {

inline ClassId class_at(size_t index) { return ClassId{static_cast<uint8_t>(index)}; }

inline MagazineStats magazine_stats_of(ClassId id) {
  MagazineTable table;
  magazine_stats(&table);
  return table.classes[index_of(id)];
}

inline void* allocate(ThreadCache& cache, ClassId id) {
  const size_t magazine = magazine_of(id);
  const uintptr_t step = cache.slot(cache.top_slot(magazine));
  if (step == 0) return refill_and_pop(cache, id, block_bytes_of(id));
  cache.top[magazine].add(ThreadCache::kPop);
  return reinterpret_cast<void*>(step << shape_of(zone_kind_of(id)).step_shift);
}

inline void release(ThreadCache& cache, ClassId id, void* block) {
  const size_t magazine = magazine_of(id);
  const uint16_t top = cache.top_slot(magazine);
  if (top == cache.limit[magazine]) return flush_and_push(cache, id, block);
  cache.slot(size_t{top} + 1) = address_of(block) >> shape_of(zone_kind_of(id)).step_shift;
  cache.top[magazine].add(1);
}

inline size_t cached_bytes(const ThreadCache& cache) {
  size_t bytes = 0;
  for (size_t i = 0; i < kClasses; ++i) {
    bytes += cache.cached_blocks(class_at(i)) * kSizeClasses[i].block_bytes;
  }
  return bytes;
}

class CachesTest : public testing::Test {
 protected:
  void SetUp() override {
    plan_test_zones();
    load_options(nullptr, false, [](const char*, size_t) {});
  }
  void TearDown() override {
    set_vm(kernel_vm());
    MagazineTable magazines;
    magazine_stats(&magazines);
    EXPECT_EQ(magazines.caches, 0U);
    EXPECT_EQ(magazines.capacity_bytes, 0U) << "all that was drawn has been given back";
    release_slabs();
    for (size_t i = 0; i < kClasses; ++i) {
      EXPECT_EQ(slab_stats_of(class_at(i)).blocks_out, 0U) << "class " << i;
      EXPECT_EQ(magazine_stats_of(class_at(i)).cached_blocks, 0U) << "class " << i;
    }
  }
};

// Until the magazines of these classes are as large as they get.
inline void use_classes(ThreadCache& cache, size_t first, size_t end) {
  std::vector<void*> blocks(1200);
  for (size_t i = first; i < end; ++i) {
    for (void*& block : blocks) block = allocate(cache, class_at(i));
    for (void* block : blocks) release(cache, class_at(i), block);
  }
}

// Classes in turn, so that none is idle.
inline void keep_busy(ThreadCache& cache) {
  std::vector<void*> blocks(300);
  for (int round = 0; round < 300; ++round) {
    for (size_t i = 8; i < 16; ++i) {
      for (void*& block : blocks) block = allocate(cache, class_at(i));
      for (void* block : blocks) release(cache, class_at(i), block);
    }
  }
}

}  // namespace elasticpool::test
