// large/extent_index.h against a naive model: one state for each granule, ranges found by looking.
//
// Exhaustive: every content of up to 6 granules and every call on it; every sequence of 4 calls on
// 3 granules. Random: thousands of calls on 600 granules. After each call everything that the index
// can be asked is compared.
#include "large/extent_index.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "seed.h"

namespace elasticpool {
namespace {

// A content of fewer is one of these with the last in use.
constexpr uint32_t kGranules = 6;
constexpr RangeState kStates[] = {RangeState::kResident, RangeState::kClean, RangeState::kHole};
constexpr FitPolicy kPolicies[] = {FitPolicy::kBest, FitPolicy::kFirst, FitPolicy::kWorst};

struct VectorStore {
  Range& range(RangeId id) {
    ++lookups;
    return ranges.at(id);
  }
  RangeId new_range() {
    if (unused.empty()) {
      if (ranges.size() > slots_max) return kNoRange;
      ranges.emplace_back();
      return static_cast<RangeId>(ranges.size() - 1);
    }
    const RangeId id = unused.back();
    unused.pop_back();
    ranges[id] = {};
    return id;
  }
  void drop_range(RangeId id) { unused.push_back(id); }
  size_t in_use() const { return ranges.size() - 1 - unused.size(); }

  std::vector<Range> ranges{1};
  std::vector<RangeId> unused;
  size_t slots_max = SIZE_MAX;
  uint64_t lookups = 0;
};

using Index = ExtentIndex<VectorStore>;

struct Stretch {
  uint32_t start;
  uint32_t granules;
  RangeState state;
};

// No state: in use.
struct Model {
  std::vector<std::optional<RangeState>> granules;

  std::vector<Stretch> stretches() const {
    std::vector<Stretch> found;
    for (uint32_t g = 0; g < granules.size(); ++g) {
      if (!granules[g]) continue;
      if (g > 0 && granules[g - 1] == granules[g]) {
        ++found.back().granules;
      } else {
        found.push_back({g, 1, *granules[g]});
      }
    }
    return found;
  }

  static uint64_t aligned(const Stretch& stretch, uint32_t align, uint64_t origin) {
    uint64_t at = stretch.start;
    while ((origin + at) % align != 0) ++at;
    return at;
  }

  std::optional<Stretch> find(RangeState state, uint32_t count, uint32_t align, FitPolicy policy,
                              uint64_t origin) const {
    std::optional<Stretch> chosen;
    for (const Stretch& stretch : stretches()) {
      if (stretch.state != state) continue;
      if (aligned(stretch, align, origin) + count > stretch.start + stretch.granules) continue;
      const bool better = !chosen ||
                          (policy == FitPolicy::kBest && stretch.granules < chosen->granules) ||
                          (policy == FitPolicy::kWorst && stretch.granules >= chosen->granules);
      if (better) chosen = stretch;
    }
    return chosen;
  }

  uint32_t free_run(uint32_t from, uint32_t enough) const {
    uint32_t g = from;
    while (g < from + enough && g < granules.size() && granules[g]) ++g;
    return g - from;
  }

  void set(uint32_t from, uint32_t count, std::optional<RangeState> state) {
    for (uint32_t g = from; g < from + count; ++g) granules[g] = state;
  }
};

// The index and its model, which every call goes to.
struct Pair {
  explicit Pair(uint32_t granules, uint64_t first = 0) : origin(first) {
    model.granules.resize(granules);
    index.set_origin(origin);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  void insert(uint32_t from, uint32_t count, RangeState state) {
    const RangeId id = store.new_range();
    store.range(id).start = from;
    store.range(id).granules = count;
    store.range(id).state = state;
    index.insert(id);
    model.set(from, count, state);
  }

  // Whether something was found; it leaves the index.
  bool take(RangeState state, uint32_t count, uint32_t align, FitPolicy policy) {
    const auto expected = model.find(state, count, align, policy, origin);
    const RangeId id = index.find(state, count, align, policy);
    EXPECT_EQ(id != kNoRange, expected.has_value());
    if (id == kNoRange || !expected) return false;
    EXPECT_EQ(store.range(id).start, expected->start);
    const uint64_t from = index.aligned_start(store.range(id), align);
    EXPECT_EQ(from, Model::aligned(*expected, align, origin));
    if (!index.take(id, static_cast<uint32_t>(from), count)) return false;
    EXPECT_EQ(store.range(id).start, from);
    EXPECT_EQ(store.range(id).granules, count);
    EXPECT_EQ(store.range(id).state, state);
    store.drop_range(id);
    model.set(static_cast<uint32_t>(from), count, std::nullopt);
    return true;
  }

  void take_front(const Stretch& stretch, uint32_t count) {
    const RangeId id = index.starting_at(stretch.start);
    ASSERT_NE(id, kNoRange);
    index.take_front(id, count);
    model.set(stretch.start, count, std::nullopt);
  }

  void check() {
    uint64_t granules[kRangeStates] = {};
    uint64_t ranges[kRangeStates] = {};
    std::optional<Stretch> longest[kRangeStates];
    for (const Stretch& stretch : model.stretches()) {
      const auto state = static_cast<size_t>(stretch.state);
      granules[state] += stretch.granules;
      ++ranges[state];
      if (!longest[state] || stretch.granules >= longest[state]->granules) longest[state] = stretch;
      const RangeId id = index.starting_at(stretch.start);
      ASSERT_NE(id, kNoRange) << "at " << stretch.start;
      EXPECT_EQ(store.range(id).granules, stretch.granules) << "at " << stretch.start;
      EXPECT_EQ(store.range(id).state, stretch.state) << "at " << stretch.start;
      const uint32_t end = stretch.start + stretch.granules;
      for (uint32_t granule = stretch.start + 1; granule <= end; ++granule) {
        EXPECT_EQ(index.ending_at(stretch.state, granule), granule == end ? id : kNoRange);
      }
    }
    for (const RangeState state : kStates) {
      const auto s = static_cast<size_t>(state);
      EXPECT_EQ(index.granules(state), granules[s]);
      EXPECT_EQ(index.ranges(state), ranges[s]);
      const RangeId id = index.largest(state);
      ASSERT_EQ(id != kNoRange, longest[s].has_value());
      if (id != kNoRange) {
        EXPECT_EQ(store.range(id).start, longest[s]->start);
      }
    }
    EXPECT_EQ(store.in_use(), model.stretches().size()) << "records in use";
  }

  VectorStore store;
  Index index{store};
  Model model;
  uint64_t origin;
};

// A content as a number to base 4: digit 0 in use, 1..3 a state.
void fill(Pair& pair, uint32_t content, bool downwards) {
  const auto granules = static_cast<uint32_t>(pair.model.granules.size());
  for (uint32_t i = 0; i < granules; ++i) {
    const uint32_t g = downwards ? granules - 1 - i : i;
    const uint32_t digit = content >> 2 * g & 3;
    if (digit != 0) pair.insert(g, 1, kStates[digit - 1]);
  }
}

std::string told(uint32_t content, uint32_t granules) {
  std::string text;
  for (uint32_t g = 0; g < granules; ++g) text += ".RCH"[content >> 2 * g & 3];
  return text;
}

TEST(ExtentIndexExhaustive, EveryContentAndEveryQuestion) {
  constexpr uint32_t n = kGranules;
  for (uint32_t content = 0; content < 1U << 2 * n; ++content) {
    SCOPED_TRACE(told(content, n));
    Pair pair(n, content % 8);
    fill(pair, content, content % 2 == 0);
    pair.check();
    for (uint32_t g = 0; g < n; ++g) {
      if (g > 0 && pair.model.granules[g - 1]) continue;
      for (uint32_t enough = 1; enough <= n - g + 1; ++enough) {
        EXPECT_EQ(pair.index.free_run(g, enough), pair.model.free_run(g, enough));
      }
    }
    if (HasFailure()) return;
  }
}

TEST(ExtentIndexExhaustive, EveryTakeFromEveryContent) {
  constexpr uint32_t n = kGranules;
  for (uint32_t content = 0; content < 1U << 2 * n; ++content) {
    SCOPED_TRACE(told(content, n));
    for (const RangeState state : kStates) {
      for (const FitPolicy policy : kPolicies) {
        for (uint32_t call = 0; call < 3 * n; ++call) {
          Pair pair(n, content % 8);
          fill(pair, content, call % 2 == 0);
          pair.take(state, call / 3 + 1, 1U << call % 3, policy);
          pair.check();
        }
      }
    }
    if (HasFailure()) return;
  }
}

TEST(ExtentIndexExhaustive, EveryInsertAndTakeFrontOnEveryContent) {
  constexpr uint32_t n = kGranules;
  for (uint32_t content = 0; content < 1U << 2 * n; ++content) {
    SCOPED_TRACE(told(content, n));
    Pair filled(n);
    fill(filled, content, false);
    for (uint32_t from = 0; from < n; ++from) {
      for (uint32_t count = 1; count <= n - from; ++count) {
        bool used = true;
        for (uint32_t g = from; g < from + count; ++g) used &= !filled.model.granules[g];
        for (const RangeState state : kStates) {
          if (!used) break;
          Pair pair(n);
          fill(pair, content, count % 2 == 0);
          pair.insert(from, count, state);
          pair.check();
        }
      }
    }
    for (const Stretch& stretch : filled.model.stretches()) {
      for (uint32_t count = 1; count <= stretch.granules; ++count) {
        Pair pair(n);
        fill(pair, content, true);
        pair.take_front(stretch, count);
        pair.check();
      }
    }
    if (HasFailure()) return;
  }
}

// Call `number` of those that exist on n granules; false: it does not exist or does not apply.
bool apply(Pair& pair, uint32_t number) {
  const auto n = static_cast<uint32_t>(pair.model.granules.size());
  const uint32_t takes = 3 * 3 * n;
  if (number < takes) {
    return pair.take(kStates[number % 3], number / 9 + 1, 1, kPolicies[number / 3 % 3]);
  }
  number -= takes;
  const uint32_t from = number / 3 % n;
  const uint32_t count = number / (3 * n) + 1;
  if (from + count > n) return false;
  for (uint32_t g = from; g < from + count; ++g) {
    if (pair.model.granules[g]) return false;
  }
  pair.insert(from, count, kStates[number % 3]);
  return true;
}

TEST(ExtentIndexExhaustive, EverySequenceOfFourCalls) {
  constexpr uint32_t n = 3;
  constexpr uint32_t calls = 9 * n + 3 * n * n;
  uint64_t sequences = 0;
  for (uint32_t code = 0; code < calls * calls * calls * calls; ++code) {
    Pair pair(n);
    uint32_t rest = code;
    uint32_t weight = calls * calls * calls;
    bool applied = true;
    while (applied && weight != 0) {
      applied = apply(pair, rest / weight);
      rest %= weight;
      if (applied) weight /= calls;
    }
    // What does not apply as its first call does not apply with any other calls behind it.
    if (!applied) code += weight - 1 - code % weight;
    if (!applied) continue;
    ++sequences;
    pair.check();
    if (HasFailure()) FAIL() << "sequence " << code;
  }
  EXPECT_GT(sequences, 1000U);
}

TEST(ExtentIndexRandom, AgreesWithTheModel) {
  std::mt19937_64 random(test::chosen_seed());
  const auto below = [&](uint32_t bound) { return static_cast<uint32_t>(random() % bound); };
  for (int round = 0; round < 30; ++round) {
    Pair pair(600, below(1024));
    for (int step = 0; step < 700; ++step) {
      // Rarely a short supply of records, which must change nothing.
      pair.store.slots_max = below(20) == 0 ? pair.store.ranges.size() - 1 : SIZE_MAX;
      const auto stretches = pair.model.stretches();
      const uint32_t choice = below(10);
      if (choice < 4) {
        pair.take(kStates[below(3)], below(24) + 1, 1U << below(7), kPolicies[below(3)]);
      } else if (choice == 4 && !stretches.empty()) {
        const Stretch stretch = stretches[below(static_cast<uint32_t>(stretches.size()))];
        pair.take_front(stretch, below(stretch.granules) + 1);
      } else {
        pair.store.slots_max = SIZE_MAX;
        const uint32_t from = below(600);
        uint32_t count = 0;
        const uint32_t most = below(40) + 1;
        while (count < most && from + count < 600 && !pair.model.granules[from + count]) ++count;
        if (count > 0) pair.insert(from, count, kStates[below(3)]);
      }
      pair.check();
      ASSERT_FALSE(HasFailure()) << "round " << round << " step " << step;
    }
  }
}

TEST(ExtentIndex, RefusedTakeChangesNothing) {
  for (size_t spare = 0; spare < 2; ++spare) {
    Pair pair(16);
    pair.insert(0, 16, RangeState::kHole);
    pair.store.slots_max = pair.store.ranges.size() - 1 + spare;
    const RangeId id = pair.index.starting_at(0);
    EXPECT_FALSE(pair.index.take(id, 4, 4));
    pair.check();
  }
}

// Not a time: how many records one call looks at among a hundred thousand ranges.
TEST(ExtentIndex, LooksAtFewRecords) {
  constexpr uint32_t ranges = 100'000;
  VectorStore store;
  Index index(store);
  for (uint32_t i = 0; i < ranges; ++i) {
    const RangeId id = store.new_range();
    store.range(id).start = i * 40;
    store.range(id).granules = 1 + i * 7919 % 32;
    index.insert(id);
  }
  for (const FitPolicy policy : kPolicies) {
    store.lookups = 0;
    const RangeId id = index.find(RangeState::kHole, 30, 1, policy);
    ASSERT_NE(id, kNoRange);
    EXPECT_TRUE(index.take(id, store.range(id).start, 30));
    index.insert(id);
    EXPECT_LT(store.lookups, 5'000U) << "policy " << static_cast<int>(policy);
  }
}

}  // namespace
}  // namespace elasticpool
