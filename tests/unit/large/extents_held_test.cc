// large/extents.h and base/held_memory.h: what is held is what is mapped less what is clean, after
// every call, whatever the system refuses; and nothing is held beyond a limit.
#include <gtest/gtest.h>

#include <random>

#include "base/held_memory.h"
#include "blocks.h"
#include "fresh_process.h"
#include "scripted_vm.h"
#include "seed.h"

namespace elasticpool::test {
namespace {

constexpr size_t kRetainBytes = 4 * kMiB;

void boot() {
  ScriptedVm::instance().install();
  use_test_zones();
  large_boot(FitPolicy::kBest, kRetainBytes);
}

uint64_t expected_held_bytes() {
  const LargeStats stats = large_stats();
  return stats.mapped_bytes - stats.free_clean_bytes;
}

class Churn {
 public:
  explicit Churn(uint64_t seed) : random_(seed) {}

  void step() {
    const uint64_t action = random_() % 16;
    if (action < 6 || live_.empty()) {
      const size_t align_bytes = random_() % 8 == 0 ? size_t{1} << random_() % 23 : 1;
      const int number = blocks_.allocate(1 + random_() % (4 * kMiB), align_bytes);
      if (number >= 0) live_.push_back(number);
    } else if (action < 11) {
      std::swap(live_[random_() % live_.size()], live_.back());
      blocks_.free(live_.back());
      live_.pop_back();
    } else if (action < 14) {
      blocks_.resize(live_[random_() % live_.size()], 1 + random_() % (6 * kMiB));
    } else {
      give_back();
    }
  }
  void end() {
    for (const int number : live_) blocks_.free(number);
    live_.clear();
    EXPECT_EQ(blocks_.failures(), 0U);
  }
  uint64_t refused() const { return blocks_.refused(); }

 private:
  void give_back() {
    switch (random_() % 4) {
      case 0:
        large_release(random_() % (8 * kMiB));
        break;
      case 1:
        large_release(0);
        break;
      case 2:
        large_reclaim(random_() % (4 * kMiB));
        break;
      default:
        large_unmap_free();
    }
  }

  std::mt19937_64 random_;
  Blocks blocks_;
  std::vector<int> live_;
};

void stay_even() {
  boot();
  const uint64_t seed = chosen_seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  EXPECT_EQ(held_bytes(), 0U);
  Churn churn(seed);
  for (int i = 0; i < 4000; ++i) {
    churn.step();
    ASSERT_EQ(held_bytes(), expected_held_bytes()) << "step " << i;
  }
  churn.end();
  EXPECT_EQ(held_bytes(), large_stats().free_resident_bytes);
  large_release(0);
  EXPECT_EQ(held_bytes(), 0U);
  EXPECT_EQ(churn.refused(), 0U);
}

TEST(ExtentsHeld, IsMappedLessClean) { run_in_fresh_process(stay_even); }

void stay_even_when_refused() {
  boot();
  const uint64_t seed = chosen_seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 60; ++round) {
    Churn churn(random());
    const Refusal how = round % 2 == 0 ? Refusal::kNoMemory : Refusal::kNoMemoryFromThereOn;
    ScriptedVm::instance().refuse(how, 1 + random() % 60);
    for (int i = 0; i < 60; ++i) {
      churn.step();
      ASSERT_EQ(held_bytes(), expected_held_bytes()) << "round " << round << ", step " << i;
    }
    ScriptedVm::instance().refuse(Refusal::kNone, 0);
    churn.end();
    ASSERT_EQ(held_bytes(), expected_held_bytes());
  }
  large_release(0);
  EXPECT_EQ(held_bytes(), 0U);
}

TEST(ExtentsHeld, IsSoWhereTheSystemRefuses) { run_in_fresh_process(stay_even_when_refused); }

int64_t until_look_bytes() { return g_held_memory.until_look_bytes.load(); }

// The clock runs with pages that come, not with those that are there.
void tick() {
  boot();
  set_next_look(0);
  bool zeroed = false;
  void* p = large_allocate(3 * kMiB, 1, &zeroed);
  EXPECT_EQ(until_look_bytes(), -static_cast<int64_t>(3 * kMiB));
  EXPECT_TRUE(large_free(p));
  p = large_allocate(3 * kMiB, 1, &zeroed);
  EXPECT_EQ(until_look_bytes(), -static_cast<int64_t>(3 * kMiB)) << "the same pages again";
  p = large_reallocate(p, 4 * kMiB);
  EXPECT_EQ(until_look_bytes(), -static_cast<int64_t>(4 * kMiB));
  EXPECT_EQ(held_bytes(), 4 * kMiB);
  EXPECT_TRUE(large_free(p));
  large_release(0);
  EXPECT_EQ(held_bytes(), 0U);
  p = large_allocate(4 * kMiB, 1, &zeroed);
  EXPECT_EQ(until_look_bytes(), -static_cast<int64_t>(8 * kMiB)) << "they had gone";
}

TEST(ExtentsHeld, GrowthTicks) { run_in_fresh_process(tick); }

void refuse_at_the_limit() {
  boot();
  limit_held_memory(8 * kMiB, 4 * kMiB);
  Blocks blocks;
  const int first = blocks.allocate(5 * kMiB);
  const int second = blocks.allocate(2 * kMiB);
  ASSERT_GE(second, 0);
  const LargeStats before = large_stats();
  const uint64_t calls = ScriptedVm::instance().calls();
  set_next_look(0);
  EXPECT_EQ(blocks.allocate(kMiB + 1), -1) << "the reserve is for slabs";
  EXPECT_FALSE(blocks.resize(first, 6 * kMiB + 1));
  EXPECT_EQ(until_look_bytes(), 0) << "nothing was grown";
  EXPECT_EQ(held_bytes(), 7 * kMiB);
  EXPECT_EQ(ScriptedVm::instance().calls(), calls) << "nor was the system asked";
  const LargeStats after = large_stats();
  EXPECT_EQ(after.live_extents, before.live_extents);
  EXPECT_EQ(after.live_bytes, before.live_bytes);
  EXPECT_EQ(after.mapped_bytes, before.mapped_bytes);
  EXPECT_EQ(after.requests, before.requests);
  blocks.verify_all();
  // Up to the limit it goes, and shrinking always.
  EXPECT_TRUE(blocks.resize(first, 6 * kMiB));
  EXPECT_EQ(held_bytes(), 8 * kMiB);
  limit_held_memory(kMiB, 0);
  EXPECT_TRUE(blocks.resize(first, 5 * kMiB));
  EXPECT_EQ(held_bytes(), expected_held_bytes());
  blocks.free_all();
  EXPECT_EQ(blocks.failures(), 0U);
  EXPECT_EQ(held_bytes(), expected_held_bytes());
  large_release(0);
  EXPECT_GE(blocks.allocate(kMiB), 0);
}

TEST(ExtentsHeld, AtTheLimitAllStaysAsItWas) { run_in_fresh_process(refuse_at_the_limit); }

}  // namespace
}  // namespace elasticpool::test
