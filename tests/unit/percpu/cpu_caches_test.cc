// Which CPUs share their current slabs, told by how many slabs are made for one block a CPU; and
// which partial slab one takes up.
#include <gtest/gtest.h>
#include <sched.h>

#include <thread>
#include <vector>

#include "percpu/cpu_cache.h"
#include "percpu_zones.h"
#include "slab/slab.h"

namespace elasticpool {
namespace {

const ClassId kId = class_of_size(2048);
constexpr size_t kMany = 4096;

std::vector<size_t> allowed_cpus() {
  std::vector<size_t> cpus;
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (size_t cpu = 0; cpu < CPU_SETSIZE && cpus.size() < 8; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

void* take_on(size_t cpu) {
  void* block = nullptr;
  std::thread([&] {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
    take_blocks(kId, &block, 1);
  }).join();
  return block;
}

class CpuCaches : public testing::Test {
 protected:
  void SetUp() override {
    test::plan_test_zones();
    cpus_ = allowed_cpus();
    if (cpus_.size() < 2) GTEST_SKIP() << "one CPU here";
  }
  void TearDown() override {
    for (void* block : blocks_) put_blocks(kId, &block, 1);
    set_node_of_cpu(nullptr);
    choose_cpu_caches(1);
    EXPECT_EQ(test::slab_stats_of(kId).slabs, 0U) << "empty current slabs go back";
  }
  void take_one_on_each() {
    for (const size_t cpu : cpus_) blocks_.push_back(take_on(cpu));
  }
  static uint64_t slabs() { return test::slab_stats_of(kId).slabs; }

  std::vector<size_t> cpus_;
  std::vector<void*> blocks_;
};

TEST_F(CpuCaches, AtFirstThereIsOne) {
  take_one_on_each();
  EXPECT_EQ(cpu_caches(), 1U);
  EXPECT_EQ(slabs(), 1U);
}

TEST_F(CpuCaches, AsManyAsMayBeAndEachItsOwn) {
  choose_cpu_caches(kMany);
  take_one_on_each();
  EXPECT_EQ(cpu_caches(), cpus_.size());
  EXPECT_EQ(slabs(), cpus_.size());
  take_one_on_each();
  EXPECT_EQ(slabs(), cpus_.size());
}

TEST_F(CpuCaches, WhenThereAreFewerTheirSlabsAreUsedUpFromTheBin) {
  choose_cpu_caches(kMany);
  take_one_on_each();
  const uint64_t created = test::slab_stats_of(kId).created;
  choose_cpu_caches(1);
  EXPECT_EQ(test::slab_stats_of(kId).blocks_out, blocks_.size());
  const size_t per_slab = size_class(kId).blocks_per_slab;
  while (blocks_.size() < cpus_.size() * per_slab) blocks_.push_back(take_on(cpus_[0]));
  EXPECT_EQ(test::slab_stats_of(kId).created, created) << "none is left behind";
  EXPECT_EQ(cpu_caches(), 1U);
}

// Two full slabs, one of each CPU; then a block comes home to each.
TEST_F(CpuCaches, APartialSlabGoesToTheCpuThatHadIt) {
  choose_cpu_caches(kMany);
  const size_t per_slab = size_class(kId).blocks_per_slab;
  void* homecomer[2] = {};
  for (size_t i = 0; i < 2; ++i) {
    while (blocks_.size() < (i + 1) * (per_slab - 1)) blocks_.push_back(take_on(cpus_[i]));
    homecomer[i] = take_on(cpus_[i]);
  }
  for (size_t first = 0; first < 2; ++first) {
    put_blocks(kId, &homecomer[first], 1);
    put_blocks(kId, &homecomer[1 - first], 1);
    for (size_t i = 0; i < 2; ++i) EXPECT_EQ(take_on(cpus_[i]), homecomer[i]) << first;
  }
  const uint64_t created = test::slab_stats_of(kId).created;
  put_blocks(kId, &homecomer[0], 1);
  EXPECT_EQ(take_on(cpus_[1]), homecomer[0]) << "another's, rather than a new one";
  EXPECT_EQ(test::slab_stats_of(kId).created, created);
  // Now it is the other CPU's.
  for (void*& block : homecomer) put_blocks(kId, &block, 1);
  EXPECT_EQ(slab_of(zone_of(kId), homecomer[0])->last_cache,
            slab_of(zone_of(kId), homecomer[1])->last_cache);
}

// Far behind in its list it is found when those before it are gone.
TEST_F(CpuCaches, AnOwnSlabIsNotLookedForToTheEndOfTheList) {
  choose_cpu_caches(kMany);
  const size_t per_slab = size_class(kId).blocks_per_slab;
  constexpr size_t kSlabs = 24;
  std::vector<void*> homecomers;
  for (size_t slab = 0; slab < kSlabs; ++slab) {
    const size_t cpu = cpus_[slab == 0 ? 0 : 1];
    for (size_t i = 0; i + 1 < per_slab; ++i) blocks_.push_back(take_on(cpu));
    homecomers.push_back(take_on(cpu));
  }
  for (void* block : homecomers) put_blocks(kId, &block, 1);
  const uint64_t created = test::slab_stats_of(kId).created;
  void* first = take_on(cpus_[0]);
  EXPECT_NE(first, homecomers[0]) << "many lie in front of it";
  blocks_.push_back(first);
  for (size_t i = 1; i < kSlabs; ++i) blocks_.push_back(take_on(cpus_[0]));
  EXPECT_EQ(test::slab_stats_of(kId).created, created);
}

TEST_F(CpuCaches, TheBinIsHomeToWhatWasCurrent) {
  choose_cpu_caches(kMany);
  take_one_on_each();
  choose_cpu_caches(1);
  for (void* block : blocks_) put_blocks(kId, &block, 1);
  blocks_.clear();
  EXPECT_EQ(slabs(), 0U);
}

TEST_F(CpuCaches, NodesShareNone) {
  set_node_of_cpu([](CpuId cpu) { return NodeId{static_cast<uint8_t>(index_of(cpu) % 2)}; });
  bool both = false;
  for (const size_t cpu : cpus_) both = both || cpu % 2 != cpus_[0] % 2;
  choose_cpu_caches(1);
  take_one_on_each();
  EXPECT_EQ(cpu_caches(), both ? 2U : 1U);
  for (size_t i = 0; i < cpus_.size(); ++i) {
    EXPECT_EQ(index_of(slab_of(zone_of(kId), blocks_[i])->node), cpus_[i] % 2);
  }
}

}  // namespace
}  // namespace elasticpool
