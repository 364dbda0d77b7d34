// Threads that allocate, resize, hand over and free blocks of every tier while others trim, look at
// limits and count: contents hold, and the books are even in the end. What a thread sanitizer is to
// see of the heap as a whole, it sees here.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "base/units.h"
#include "heap/heap.h"
#include "heap/pressure_view.h"
#include "heap/snapshot.h"
#include "heap/thread.h"

extern "C" char** environ;

namespace elasticpool {
namespace {

constexpr int kThreads = 4;
constexpr int kGenerations = 3;
constexpr int kSteps = 20000;

struct Block {
  unsigned char* data = nullptr;
  size_t bytes = 0;
  unsigned char tag = 0;
};

void fill(Block& block) {
  memset(block.data, block.tag, std::min<size_t>(block.bytes, 256));
  block.data[block.bytes - 1] = block.tag;
}

void expect_contents(const Block& block) {
  for (size_t i = 0; i < std::min<size_t>(block.bytes, 256); ++i) {
    ASSERT_EQ(block.data[i], block.tag) << i << " of " << block.bytes;
  }
  ASSERT_EQ(block.data[block.bytes - 1], block.tag);
}

// Where one thread leaves a block for another.
class Exchange {
 public:
  Block swap(size_t index, const Block& block) {
    const std::lock_guard guard(mutex_);
    return std::exchange(places_[index % places_.size()], block);
  }

 private:
  std::mutex mutex_;
  std::array<Block, 256> places_ = {};
};

size_t random_bytes(std::mt19937& random) {
  const unsigned kind = random() % 512;
  const unsigned bits = kind == 0 ? 22 : kind < 8 ? 18 : kind < 64 ? 13 : kind < 256 ? 10 : 6;
  return 1 + random() % (size_t{1} << bits);
}

void release(Block& block) {
  if (block.data == nullptr) return;
  expect_contents(block);
  heap_free(block.data);
  block = {};
}

void renew(Block& block, std::mt19937& random) {
  release(block);
  block.bytes = random_bytes(random);
  block.tag = static_cast<unsigned char>(random());
  switch (random() % 4) {
    case 0:
      block.data = static_cast<unsigned char*>(heap_allocate_zeroed(block.bytes));
      ASSERT_NE(block.data, nullptr);
      ASSERT_EQ(block.data[block.bytes / 2], 0);
      break;
    case 1:
      block.data = static_cast<unsigned char*>(
          heap_allocate_aligned(block.bytes, size_t{16} << random() % 9));
      break;
    default:
      block.data = static_cast<unsigned char*>(heap_allocate(block.bytes));
  }
  ASSERT_NE(block.data, nullptr);
  fill(block);
}

void resize(Block& block, std::mt19937& random) {
  if (block.data == nullptr) return;
  expect_contents(block);
  block.bytes = random_bytes(random);
  block.data = static_cast<unsigned char*>(heap_reallocate(block.data, block.bytes));
  ASSERT_NE(block.data, nullptr);
  fill(block);
}

void work(unsigned seed, Exchange& exchange) {
  std::mt19937 random(seed);
  std::array<Block, 64> own = {};
  for (int step = 0; step < kSteps; ++step) {
    Block& block = own[random() % own.size()];
    switch (random() % 8) {
      case 0:
        resize(block, random);
        break;
      case 1:
      case 2:
        block = exchange.swap(random(), block);
        break;
      case 3:
        release(block);
        break;
      default:
        renew(block, random);
    }
    if (testing::Test::HasFatalFailure()) return;
  }
  for (Block& block : own) release(block);
}

TEST(HeapThreads, ContentsHoldWhileOthersTrimAndLook) {
  heap_start(environ);
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  HeapSnapshot before;
  take_snapshot(&before);
  Exchange exchange;
  std::atomic<bool> done{false};
  std::thread observer([&] {
    for (unsigned round = 0; !done; ++round) {
      HeapSnapshot now;
      take_snapshot(&now);
      ep_pressure pressure;
      view_pressure(&pressure, 0);
      if (round % 4 == 0) heap_trim(round % 8 == 0 ? 0 : kMiB);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  for (int generation = 0; generation < kGenerations; ++generation) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      const auto own_seed = seed + static_cast<unsigned>(generation * kThreads + i);
      threads.emplace_back([own_seed, &exchange] { work(own_seed, exchange); });
    }
    for (std::thread& thread : threads) thread.join();
  }
  done = true;
  observer.join();
  for (size_t i = 0; i < 256; ++i) {
    Block left = exchange.swap(i, {});
    release(left);
  }
  HeapSnapshot after;
  take_snapshot(&after);
  EXPECT_EQ(after.live_blocks(), before.live_blocks());
  EXPECT_EQ(after.live_bytes(), before.live_bytes());
}

}  // namespace
}  // namespace elasticpool
