// slab/quarters.h under threads: slabs come and go while pages go back; contents are checked.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "os/sync.h"
#include "slab/quarters.h"
#include "slabs.h"

namespace elasticpool::test {
namespace {

constexpr unsigned kSeed = 521;
constexpr int kSteps = 20000;
const size_t kQuarterClasses = index_of(class_of_size(kQuarterBlockBytesMax)) + 1;

struct WrittenSlab {
  Slab* slab;
  uint8_t byte;
};

void write_slab(const WrittenSlab& written) {
  memset(reinterpret_cast<void*>(written.slab->start), written.byte, kQuarterBytes);
}

bool is_intact(const WrittenSlab& written) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(written.slab->start);
  return bytes[0] == written.byte && memcmp(bytes, bytes + 1, kQuarterBytes - 1) == 0;
}

void churn(unsigned seed, std::atomic<int>* broken) {
  std::mt19937 random(seed);
  std::vector<WrittenSlab> live;
  for (int step = 0; step < kSteps; ++step) {
    if (live.size() < 3 || (live.size() < 40 && random() % 2 == 0)) {
      const auto byte = static_cast<uint8_t>(random());
      live.push_back({slab_create(class_at(random() % kQuarterClasses), kTestNode), byte});
      write_slab(live.back());
    } else {
      std::swap(live[random() % live.size()], live.back());
      if (!is_intact(live.back())) ++*broken;
      slab_destroy(live.back().slab);
      live.pop_back();
    }
  }
  for (const WrittenSlab& written : live) {
    if (!is_intact(written)) ++*broken;
    slab_destroy(written.slab);
  }
}

TEST(QuartersThreads, NobodysPagesGoBackButThoseOfFreeOnes) {
  install_lock_hooks();
  slab_vm().fail_nothing();
  std::atomic<int> broken{0};
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 3; ++i) {
    threads.emplace_back([&broken, i] { churn(kSeed + i, &broken); });
  }
  std::thread purger([&over] {
    while (!over) {
      quarters_release_settled();
      quarters_release();
      std::this_thread::yield();
    }
  });
  for (std::thread& thread : threads) thread.join();
  over = true;
  purger.join();
  EXPECT_EQ(broken, 0) << "seed " << kSeed;
  EXPECT_EQ(quarter_stats().free_bytes, 0U);
  EXPECT_EQ(buddy_stats(ZoneKind::kTiny).used_granules, 0U);
  EXPECT_EQ(buddy_stats(ZoneKind::kSmall).used_granules, 0U);
}

}  // namespace
}  // namespace elasticpool::test
