// os/meta_arena.h: records are apart, zeroed, used again, and refused in silence.
#include "os/meta_arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <latch>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "base/bits.h"
#include "base/units.h"
#include "fake_vm.h"

namespace elasticpool {
namespace {

bool is_zero(const void* record, size_t bytes) {
  const auto* at = static_cast<const char*>(record);
  return bytes == 0 || (at[0] == 0 && memcmp(at, at + 1, bytes - 1) == 0);
}

TEST(MetaArena, RecordsAreApartZeroedAndUsedAgain) {
  for (unsigned seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    std::map<uintptr_t, size_t> live;
    for (int step = 0; step < 4000; ++step) {
      if (random() % 3 != 0 || live.empty()) {
        const size_t bytes = 1 + random() % (size_t{1} << (random() % 15));
        auto* record = static_cast<char*>(meta_allocate(bytes));
        ASSERT_NE(record, nullptr);
        const uintptr_t start = address_of(record);
        ASSERT_EQ(start % kCacheLineBytes, 0U);
        ASSERT_TRUE(is_zero(record, bytes)) << bytes;
        const auto next = live.lower_bound(start);
        if (next != live.end()) {
          ASSERT_LE(start + bytes, next->first);
        }
        if (next != live.begin()) {
          const auto previous = std::prev(next);
          ASSERT_LE(previous->first + previous->second, start);
        }
        memset(record, 0xA5, bytes);
        live[start] = bytes;
      } else {
        const auto victim = std::next(live.begin(), static_cast<long>(random() % live.size()));
        meta_give_back(reinterpret_cast<void*>(victim->first), victim->second);
        live.erase(victim);
      }
    }
    for (const auto& [start, bytes] : live) meta_give_back(reinterpret_cast<void*>(start), bytes);
  }
}

TEST(MetaArena, GivenBackServesTheSameSize) {
  for (const size_t bytes : {size_t{1}, size_t{64}, size_t{65}, 5000 * size_t{1}, kMiB}) {
    void* record = meta_allocate(bytes);
    ASSERT_NE(record, nullptr);
    memset(record, 1, bytes);
    const size_t mapped = meta_mapped_bytes();
    meta_give_back(record, bytes);
    void* again = meta_allocate(bytes);
    EXPECT_EQ(again, record);
    EXPECT_TRUE(is_zero(again, bytes));
    EXPECT_EQ(meta_mapped_bytes(), mapped);
    meta_give_back(again, bytes);
  }
}

TEST(MetaArena, Bounds) {
  EXPECT_EQ(meta_allocate(0), nullptr);
  EXPECT_EQ(meta_allocate(kMiB + 1), nullptr);
  EXPECT_EQ(meta_allocate(SIZE_MAX), nullptr);
  meta_give_back(nullptr, 100);
  void* largest = meta_allocate(kMiB);
  ASSERT_NE(largest, nullptr);
  EXPECT_TRUE(is_zero(largest, kMiB));
  meta_give_back(largest, kMiB);
}

TEST(MetaArena, MappedBytesAreCounted) {
  test::FakeVm fake;
  const size_t before = meta_mapped_bytes();
  std::vector<void*> records;
  // Records of a chunk's size and more have a mapping each; one or another was given back before.
  for (int i = 0; i < 8; ++i) records.push_back(meta_allocate(kMiB));
  EXPECT_GT(fake.calls(test::VmCall::kMapAnywhere), 0U);
  EXPECT_EQ(meta_mapped_bytes() - before, fake.calls(test::VmCall::kMapAnywhere) * kMiB);
  for (void* record : records) meta_give_back(record, kMiB);
}

TEST(MetaArena, RefusalChangesNothing) {
  test::FakeVm fake;
  // Whatever lies ready is used up first.
  std::vector<void*> records;
  fake.fail(test::VmCall::kMapAnywhere, 1, test::FakeVm::kFromThereOn);
  const size_t mapped = meta_mapped_bytes();
  while (void* record = meta_allocate(32 * kKiB)) records.push_back(record);
  EXPECT_GT(fake.calls(test::VmCall::kMapAnywhere), 0U);
  EXPECT_EQ(meta_allocate(32 * kKiB), nullptr);
  EXPECT_EQ(meta_mapped_bytes(), mapped);
  fake.fail_nothing();
  void* record = meta_allocate(32 * kKiB);
  EXPECT_NE(record, nullptr);
  EXPECT_GT(meta_mapped_bytes(), mapped);
  meta_give_back(record, 32 * kKiB);
  for (void* earlier : records) meta_give_back(earlier, 32 * kKiB);
}

TEST(MetaArena, Threads) {
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  std::vector<uint64_t> torn(kThreads);
  std::latch start(kThreads);
  for (unsigned t = 0; t < kThreads; ++t) {
    threads.emplace_back([&torn, &start, t] {
      start.arrive_and_wait();
      std::mt19937 random(t);
      const int mark = static_cast<int>(t) + 1;
      std::vector<std::pair<char*, size_t>> live;
      const auto give_back = [&] {
        const auto [record, bytes] = live.back();
        live.pop_back();
        torn[t] += record[0] != mark || memcmp(record, record + 1, bytes - 1) != 0;
        meta_give_back(record, bytes);
      };
      for (int step = 0; step < 200000; ++step) {
        if (live.size() > random() % 4) {
          give_back();
          continue;
        }
        const size_t bytes = 2 + random() % 63;  // of one size inside, so that all want the same
        auto* record = static_cast<char*>(meta_allocate(bytes));
        if (record == nullptr) continue;
        torn[t] += is_zero(record, bytes) ? 0 : 1;
        memset(record, mark, bytes);
        live.emplace_back(record, bytes);
      }
      while (!live.empty()) give_back();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const uint64_t count : torn) EXPECT_EQ(count, 0U);
}

TEST(MetaArena, ForkLeavesItUsable) {
  meta_lock_for_fork();
  meta_unlock_after_fork(false);
  meta_lock_for_fork();
  meta_unlock_after_fork(true);
  void* record = meta_allocate(64);
  EXPECT_NE(record, nullptr);
  meta_give_back(record, 64);
}

}  // namespace
}  // namespace elasticpool
