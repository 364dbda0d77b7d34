// buddy/frame_bits.h against naive_frame.h: all patterns of half a frame, and patterns of a whole
// one with long and short runs.
#include "buddy/frame_bits.h"

#include <gtest/gtest.h>

#include <random>

#include "naive_frame.h"

namespace elasticpool::test {
namespace {

constexpr unsigned kSeed = 401;

void expect_as_naive(FrameBits free) {
  SCOPED_TRACE(testing::Message() << "free " << std::hex << free);
  ASSERT_EQ(largest_free_order(free), naive_largest_order(free));
  for (unsigned order = 0; order < kOrders; ++order) {
    const uint32_t starts = naive_free_blocks(free, order);
    ASSERT_EQ(free_blocks(free, order), starts) << "order " << order;
    if (starts == 0) continue;
    ASSERT_EQ(static_cast<int>(choose_block(free, order)), naive_choice(free, order))
        << "order " << order;
  }
}

TEST(FrameBits, AllPatternsOfHalfAFrame) {
  for (FrameBits half = 0; half <= 0xFFFF; ++half) {
    expect_as_naive(half);
    expect_as_naive(half << 16 | 0xFFFF);
    if (HasFatalFailure()) return;
  }
}

TEST(FrameBits, PatternsOfAWholeFrame) {
  std::mt19937 random(kSeed);
  for (int i = 0; i < 40000; ++i) {
    const FrameBits bits = static_cast<FrameBits>(random());
    const FrameBits other = static_cast<FrameBits>(random());
    expect_as_naive(bits);
    expect_as_naive(bits & other);  // fragmented
    expect_as_naive(bits | other);
    // Long runs: some aligned blocks are out of a free frame.
    FrameBits blocks = kAllFree;
    for (unsigned k = 0; k < random() % 5; ++k) {
      const auto order = static_cast<unsigned>(random() % 5);
      const auto first = static_cast<unsigned>(random() % kGranulesPerFrame) >> order << order;
      blocks &= ~run_bits(first, 1U << order);
    }
    expect_as_naive(blocks);
    if (HasFatalFailure()) return;
  }
  expect_as_naive(kAllFree);
}

TEST(FrameBits, RunBits) {
  for (unsigned first = 0; first < kGranulesPerFrame; ++first) {
    for (unsigned count = 0; first + count <= kGranulesPerFrame; ++count) {
      FrameBits bits = 0;
      for (unsigned i = 0; i < count; ++i) bits |= FrameBits{1} << (first + i);
      ASSERT_EQ(run_bits(first, count), bits) << first << " " << count;
    }
  }
}

}  // namespace
}  // namespace elasticpool::test
