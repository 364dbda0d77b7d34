// base/bits.h against loops that count.
#include "base/bits.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace elasticpool {
namespace {

constexpr unsigned kSeed = 101;

// All small numbers, what lies around each power of two, and others of every length.
std::vector<size_t> numbers() {
  std::vector<size_t> all;
  for (size_t x = 0; x < 4096; ++x) all.push_back(x);
  for (unsigned bit = 12; bit < 64; ++bit) {
    for (size_t offset = 0; offset < 5; ++offset) all.push_back((size_t{1} << bit) + offset - 2);
  }
  std::mt19937_64 random(kSeed);
  for (int i = 0; i < 10000; ++i) all.push_back(random() >> (random() % 64));
  all.push_back(SIZE_MAX);
  return all;
}

TEST(Bits, PowerOfTwoHasOneBit) {
  for (const size_t x : numbers()) {
    unsigned bits = 0;
    for (size_t rest = x; rest != 0; rest >>= 1) bits += rest & 1;
    ASSERT_EQ(is_power_of_two(x), bits == 1) << x;
  }
}

TEST(Bits, RoundingIsToMultiples) {
  for (const size_t x : numbers()) {
    for (unsigned bit = 0; bit < 64; ++bit) {
      const size_t align = size_t{1} << bit;
      const size_t down = x - x % align;
      ASSERT_EQ(round_down(x, align), down) << x << " to " << align;
      const size_t up = down == x ? x : down + align;  // wraps to 0 as the header says
      ASSERT_EQ(round_up(x, align), up) << x << " to " << align;
    }
  }
}

TEST(Bits, DivideUp) {
  for (size_t x = 0; x < 500; ++x) {
    for (size_t by = 1; by < 70; ++by) {
      size_t parts = 0;
      while (parts * by < x) ++parts;
      ASSERT_EQ(divide_up(x, by), parts) << x << " by " << by;
    }
  }
}

TEST(Bits, Logarithms) {
  for (const size_t x : numbers()) {
    if (x == 0) continue;
    unsigned floor = 0;
    while (floor < 63 && size_t{1} << (floor + 1) <= x) ++floor;
    ASSERT_EQ(floor_log2(x), floor) << x;
    ASSERT_EQ(ceil_log2(x), (size_t{1} << floor) < x ? floor + 1 : floor) << x;
  }
}

TEST(Bits, AddressOf) {
  int object = 0;
  EXPECT_EQ(reinterpret_cast<int*>(address_of(&object)), &object);
  EXPECT_EQ(address_of(nullptr), 0U);
}

}  // namespace
}  // namespace elasticpool
