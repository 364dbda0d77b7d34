// base/owner_cell.h: one thread counts, others look.
#include "base/owner_cell.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>

#include "base/annotations.h"

namespace elasticpool {
namespace {

TEST(OwnerCell, SetAddGet) {
  OwnerCell<uint64_t> cell;
  EXPECT_EQ(cell.get(), 0U);
  cell.set(40);
  cell.add(2);
  EXPECT_EQ(cell.get(), 42U);
  EXPECT_EQ(cell.peek(), 42U);
}

TEST(OwnerCell, PointersCountElements) {
  int numbers[4] = {};
  OwnerCell<int*> cell(numbers);
  cell.add(3);
  EXPECT_EQ(cell.peek(), &numbers[3]);
}

TEST(OwnerCell, PeekNeverTears) {
  // Both halves of the number are equal at all times.
  constexpr uint64_t kBoth = (uint64_t{1} << 32) + 1;
  OwnerCell<uint64_t> cell;
  std::atomic<bool> done{false};
  uint64_t last = 0;
  std::thread reader([&] {
    while (!done) {
      const uint64_t seen = cell.peek();
      ASSERT_EQ(seen >> 32, seen & UINT32_MAX);
      ASSERT_GE(seen, last);
      last = seen;
    }
  });
  for (uint64_t i = 1; i <= 200000; ++i) cell.set(i * kBoth);
  done = true;
  reader.join();
  EXPECT_EQ(cell.get(), 200000 * kBoth);
}

}  // namespace
}  // namespace elasticpool
