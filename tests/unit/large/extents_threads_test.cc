// large/extents.h over the kernel itself: several threads, and fork among them.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include "base/annotations.h"
#include "base/surplus_gauge.h"
#include "blocks.h"
#include "fresh_process.h"
#include "large/extents.h"
#include "os/meta_arena.h"
#include "os/sync.h"
#include "scripted_vm.h"
#include "seed.h"

namespace elasticpool::test {
namespace {

// `steps` random calls on a few blocks of the thread's own; how many things went wrong.
constexpr uint64_t kLongestBytes = 17 * kMiB + kGranuleBytes;

uint64_t churn(uint64_t seed, uint64_t first_id, int steps) {
  std::mt19937_64 random(seed);
  const auto below = [&](size_t bound) { return static_cast<size_t>(random() % bound); };
  const auto any_bytes = [&] { return kMiB + 1 + below(below(8) == 0 ? 16 * kMiB : 3 * kMiB); };
  Blocks blocks(first_id);
  int live[6];
  for (int& slot : live) slot = -1;
  for (int step = 0; step < steps; ++step) {
    int& slot = live[below(6)];
    const size_t choice = below(100);
    if (choice < 3) {
      large_release(below(16) * kMiB);
    } else if (slot < 0) {
      slot = blocks.allocate(any_bytes(), size_t{1} << below(23));
    } else if (choice < 45) {
      blocks.resize(slot, any_bytes());
    } else {
      blocks.free(slot);
      slot = -1;
    }
  }
  blocks.free_all();
  return blocks.failures() + blocks.refused();
}

bool nothing_is_live_and_nothing_lost() {
  const LargeStats stats = large_stats();
  const uint64_t free_mapped = stats.free_resident_bytes + stats.free_clean_bytes;
  return stats.live_extents == 0 && stats.live_bytes == 0 && stats.requests == stats.frees &&
         stats.mapped_bytes == free_mapped &&
         free_mapped + stats.hole_bytes + stats.lost_bytes ==
             g_large_zone.published_steps() * kGranuleBytes;
}

constexpr int kThreads = 4;

class ExtentThreads : public testing::Test {
 protected:
  void SetUp() override {
    install_lock_hooks();
    use_test_zones();
  }
};

TEST_F(ExtentThreads, KeepContentsAndAccounts) {
  const uint64_t seed = chosen_seed();
  large_boot(FitPolicy::kBest, 12 * kMiB);
  std::atomic<uint64_t> wrong{0};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] { wrong += churn(seed + t, t << 20 | 1, 1500); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_TRUE(nothing_is_live_and_nothing_lost());
  // What stays, a window with a step more, and the last free; what went back and was taken again
  // stays too, up to what was live at once.
  const LargeStats stats = large_stats();
  EXPECT_LE(stats.free_resident_bytes, 2 * 12 * kMiB + 12 * kMiB / SurplusConstants::kSteps +
                                           kLongestBytes +
                                           std::min(stats.regretted_bytes, stats.peak_live_bytes));
}

// A block is freed by another thread than the one that made it; each sees the other's bytes.
TEST_F(ExtentThreads, HandBlocksOver) {
  large_boot(FitPolicy::kBest, 12 * kMiB);
  std::atomic<char*> box{nullptr};
  std::atomic<uint64_t> wrong{0};
  constexpr int rounds = 500;
  std::thread taker([&] {
    for (int i = 0; i < rounds; ++i) {
      char* p = nullptr;
      while ((p = box.exchange(nullptr)) == nullptr) std::this_thread::yield();
      wrong += large_usable_bytes(p) < 2 * kMiB;
      wrong += p[0] != static_cast<char>(i) || p[kMiB] != static_cast<char>(i);
      wrong += !large_free(p);
    }
  });
  for (int i = 0; i < rounds; ++i) {
    bool zeroed = false;
    auto* p = static_cast<char*>(large_allocate(2 * kMiB, 1, &zeroed));
    ASSERT_NE(p, nullptr);
    p[0] = p[kMiB] = static_cast<char>(i);
    char* empty = nullptr;
    while (!box.compare_exchange_weak(empty, p)) {
      empty = nullptr;
      std::this_thread::yield();
    }
  }
  taker.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_TRUE(nothing_is_live_and_nothing_lost());
}

TEST_F(ExtentThreads, OneOfTwoFreesOfABlockIsRefused) {
  large_boot(FitPolicy::kBest, 12 * kMiB);
  constexpr int rounds = 20'000;
  // Both spin where they wait for each other to begin, so as to begin at one instant.
  std::atomic<int> ready{0};
  std::atomic<int> started{0};
  std::atomic<int> played{0};
  std::atomic<int> freed{0};
  std::atomic<void*> block{nullptr};
  const auto spin_until = [](const std::atomic<int>& value, int round) {
    for (int spins = 0; value < round; ++spins) {
      if (spins % 1000 == 999) std::this_thread::yield();
    }
  };
  std::thread other([&] {
    for (int round = 1; round <= rounds; ++round) {
      ready = round;
      spin_until(started, round);
      freed += large_free(block);
      ++played;
    }
  });
  for (int round = 1; round <= rounds; ++round) {
    bool zeroed = false;
    block = large_allocate(2 * kMiB, 1, &zeroed);
    spin_until(ready, round);
    started = round;
    // The other one learns of it a little later; how much, the rounds try out.
    for (int i = 0; i < round % 128; ++i) started = round;
    freed += large_free(block);
    spin_until(played, round);
    EXPECT_EQ(freed, round);
  }
  other.join();
  EXPECT_TRUE(nothing_is_live_and_nothing_lost());
}

// A system that has no memory until a certain range is unmapped, and takes long to take pages back.
struct ScarceMemory {
  static inline std::atomic<bool> decommitting{false};
  static inline std::atomic<bool> may_finish{false};
  static inline std::atomic<bool> scarce{false};

  static void install() {
    Vm vm = kernel_vm();
    vm.map_at = [](uintptr_t address, size_t bytes) {
      return scarce ? MapStatus::kNoMemory : kernel_vm().map_at(address, bytes);
    };
    vm.unmap = [](uintptr_t address, size_t bytes) {
      scarce = false;
      return kernel_vm().unmap(address, bytes);
    };
    vm.decommit = [](uintptr_t address, size_t bytes) {
      decommitting = true;
      while (!may_finish) std::this_thread::yield();
      return kernel_vm().decommit(address, bytes);
    };
    set_vm(vm);
  }
};

void wait_for_memory_in_other_hands() {
  install_lock_hooks();
  use_test_zones();
  large_boot(FitPolicy::kBest, 0);
  ScarceMemory::install();
  bool zeroed = false;
  void* p = large_allocate(8 * kMiB, 1, &zeroed);
  ScarceMemory::scarce = true;
  std::thread freeing([&] { EXPECT_TRUE(large_free(p)); });
  while (!ScarceMemory::decommitting) std::this_thread::yield();
  // All free memory is in the hands of that thread now, and none of it is in the index.
  std::thread finishing([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ScarceMemory::may_finish = true;
  });
  void* q = large_allocate(4 * kMiB, 1, &zeroed);
  EXPECT_NE(q, nullptr);
  EXPECT_TRUE(large_free(q));
  freeing.join();
  finishing.join();
}

TEST_F(ExtentThreads, MemoryInOtherHandsIsWaitedFor) {
  run_in_fresh_process(wait_for_memory_in_other_hands);
}

int exit_code_of(pid_t child) {
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
}

TEST_F(ExtentThreads, ForkAmongThem) {
  if (EP_THREAD_SANITIZER) {
    GTEST_SKIP() << "the sanitizer allows a forked child of several threads next to nothing";
  }
  const uint64_t seed = chosen_seed();
  large_boot(FitPolicy::kBest, 8 * kMiB);
  Blocks mine;
  const int kept = mine.allocate(5 * kMiB);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> wrong{0};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t round = 0; !stop; ++round)
        wrong += churn(seed + t + round * 7, t << 20 | 1, 50);
    });
  }
  for (int i = 0; i < 20; ++i) {
    large_lock_for_fork();
    zones_lock_for_fork();
    meta_lock_for_fork();
    const pid_t child = fork();
    meta_unlock_after_fork(child == 0);
    zones_unlock_after_fork(child == 0);
    large_unlock_after_fork(child == 0);
    if (child == 0) {
      uint64_t wrong_in_child = churn(seed, 1U << 25, 40);
      mine.free(kept);
      wrong_in_child += mine.failures();
      _exit(wrong_in_child == 0 ? 0 : 1);
    }
    EXPECT_EQ(exit_code_of(child), 0);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0U);
  mine.free_all();
  EXPECT_EQ(mine.failures(), 0U);
  EXPECT_TRUE(nothing_is_live_and_nothing_lost());
}

}  // namespace
}  // namespace elasticpool::test
