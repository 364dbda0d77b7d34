// magazine/request_pattern.h against a list of all requests: what is unused, and what each possible
// class between would save, is exact for the sample.
#include "magazine/request_pattern.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace elasticpool {
namespace {

ClassId class_at(size_t index) { return ClassId{static_cast<uint8_t>(index)}; }

size_t previous_of(size_t index) { return index == 0 ? 0 : kSizeClasses[index - 1].block_bytes; }

PatternSum sum_of(const RequestPattern& pattern) {
  PatternSum sum;
  pattern.add_to(&sum);
  return sum;
}

TEST(RequestPattern, BinsCoverEachClass) {
  for (size_t i = 0; i < kClasses; ++i) {
    const size_t below = previous_of(i);
    ASSERT_EQ(below_class(class_at(i)), below);
    EXPECT_EQ(pattern_bin(class_at(i), below + 1), 0U);
    EXPECT_EQ(pattern_bin(class_at(i), kSizeClasses[i].block_bytes), kPatternBins - 1);
    for (size_t bytes = below + 2; bytes <= kSizeClasses[i].block_bytes; ++bytes) {
      const size_t bin = pattern_bin(class_at(i), bytes);
      ASSERT_LT(bin, kPatternBins);
      ASSERT_GE(bin, pattern_bin(class_at(i), bytes - 1));
    }
  }
}

// What the list of requests would save with a class of `added` bytes.
uint64_t naive_saving(const std::vector<size_t>& requests, size_t block_bytes, size_t added) {
  uint64_t saved = 0;
  for (const size_t bytes : requests) saved += bytes <= added ? block_bytes - added : 0;
  return saved;
}

TEST(RequestPattern, AgreesWithTheListOfAllRequests) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (size_t i = 0; i < kClasses; ++i) {
    const size_t block_bytes = kSizeClasses[i].block_bytes;
    const size_t below = previous_of(i);
    const size_t step = size_t{1} << shape_of(zone_kind_of(class_at(i))).step_shift;
    // Now here, now there in the range.
    const size_t from = below + 1 + random() % (block_bytes - below);
    RequestPattern pattern;
    std::vector<size_t> requests;
    uint64_t unused = 0;
    while (requests.size() < 5000) {
      const size_t bytes = random() % 8 == 0 ? below + 1 + random() % (block_bytes - below)
                                             : from + random() % (block_bytes - from + 1) / 2;
      const uint32_t weight = 1 + random() % 128;
      pattern.record(class_at(i), bytes, weight);
      requests.insert(requests.end(), weight, bytes);
      unused += weight * (block_bytes - bytes);
    }
    const PatternSum sum = sum_of(pattern);
    ASSERT_EQ(sum.weight(), requests.size());
    ASSERT_EQ(sum.unused_bytes_of(requests.size()), unused);
    NewClass best;
    for (size_t added = below + step; added < block_bytes; added += step) {
      if ((added - below) % ((block_bytes - below) / kPatternBins) != 0) continue;
      const uint64_t saved = naive_saving(requests, block_bytes, added);
      if (saved > best.saved_bytes) best = {added, saved};
    }
    const NewClass found = best_new_class(class_at(i), sum, requests.size());
    EXPECT_EQ(found.saved_bytes, best.saved_bytes) << "class " << block_bytes;
    EXPECT_EQ(found.block_bytes, best.block_bytes) << "class " << block_bytes;
    EXPECT_LE(found.saved_bytes, unused);
  }
}

TEST(RequestPattern, IsScaledToTheLiveBlocks) {
  RequestPattern pattern;
  const ClassId id = class_of_size(4096);
  for (int i = 0; i < 3; ++i) pattern.record(id, 3900, 64);
  pattern.record(id, 4096, 64);
  EXPECT_EQ(sum_of(pattern).unused_bytes_of(1000), 750 * (4096U - 3900));
  const NewClass found = best_new_class(id, sum_of(pattern), 1000);
  EXPECT_EQ(found.block_bytes, 3968U);
  EXPECT_EQ(found.saved_bytes, 750 * (4096U - 3968));
  EXPECT_EQ(best_new_class(id, sum_of(pattern), 0).block_bytes, 0U);
  EXPECT_EQ(best_new_class(id, PatternSum{}, 1000).block_bytes, 0U);
  EXPECT_EQ(PatternSum{}.unused_bytes_of(1000), 0U);
}

TEST(RequestPattern, OfAlignedRequestsThatNoClassWouldHelpNothing) {
  RequestPattern pattern;
  pattern.record(class_of_size(4096), 100, 10);
  EXPECT_EQ(sum_of(pattern).weight(), 0U);
  pattern.record(class_of_size(0), 0, 10);
  EXPECT_EQ(sum_of(pattern).unused_bytes, 150U);
}

TEST(RequestPattern, OldRequestsCountLessBeforeTheCountersRunOver) {
  RequestPattern pattern;
  const ClassId id = class_of_size(1024);
  for (uint64_t weight = 0; weight < uint64_t{1} << 33; weight += uint64_t{1} << 24) {
    pattern.record(id, 1024, 1U << 24);
    pattern.record(id, 1000, 1U << 24);
  }
  const PatternSum sum = sum_of(pattern);
  EXPECT_LE(sum.weight(), UINT32_MAX);
  EXPECT_GT(sum.weight(), kWeightMax / 2);
  // Half of them had 24 bytes too many.
  EXPECT_NEAR(static_cast<double>(sum.unused_bytes_of(1000)), 12000, 600);
}

}  // namespace
}  // namespace elasticpool
