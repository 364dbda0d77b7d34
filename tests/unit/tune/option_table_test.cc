// The table itself: what the man page and the parser rely on.
#include "tune/option_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>

#include "tune/option_text.h"

namespace elasticpool {
namespace {

std::string range_of(const OptionInfo& info, size_t capacity = 64) {
  std::string text(capacity + 1, '#');
  const size_t length = describe_range(info, text.data(), capacity);
  EXPECT_EQ(text[length], '\0');
  EXPECT_EQ(text[capacity], '#');
  return text.substr(0, length);
}

TEST(OptionTable, NamesAreUniqueAndUpperCase) {
  std::set<std::string> names;
  for (const OptionInfo& info : kOptionTable) {
    const std::string name = info.name;
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_EQ(name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), std::string::npos) << name;
    EXPECT_FALSE(name.empty());
    EXPECT_LE(name.size(), kEditBytesMax);
  }
}

TEST(OptionTable, DefaultsLieInTheirRange) {
  for (const OptionInfo& info : kOptionTable) {
    if (info.kind == OptionKind::kSize) {
      EXPECT_LE(info.min, info.fallback) << info.name;
      EXPECT_LE(info.fallback, info.max) << info.name;
    }
    if (info.kind == OptionKind::kChoice) {
      for (uint64_t i = 0; i <= info.fallback; ++i)
        EXPECT_NE(info.words[i].word, nullptr) << info.name;
    }
  }
}

bool has_words(const OptionInfo& info) {
  return info.kind == OptionKind::kChoice || info.kind == OptionKind::kLimit;
}

TEST(OptionTable, WordsOfAChoiceAreUniqueAndEnd) {
  for (const OptionInfo& info : kOptionTable) {
    EXPECT_EQ(info.words[kChoiceWordsMax].word, nullptr) << info.name;
    std::set<std::string> words;
    size_t count = 0;
    for (const ChoiceWord* word = info.words; word->word != nullptr; ++word) {
      ASSERT_NE(word->alias, nullptr) << info.name;
      EXPECT_TRUE(words.insert(word->word).second) << info.name << ' ' << word->word;
      ++count;
      if (*word->alias == '\0') continue;
      EXPECT_TRUE(words.insert(word->alias).second) << word->alias;
    }
    EXPECT_EQ(count >= 2 || info.kind == OptionKind::kLimit, has_words(info)) << info.name;
    EXPECT_EQ(count >= 1, has_words(info)) << info.name;
  }
}

TEST(OptionTable, SentencesAreSentencesThatTroffLeavesAlone) {
  for (const OptionInfo& info : kOptionTable) {
    const std::string sentence = info.sentence;
    ASSERT_GT(sentence.size(), 10U) << info.name;
    EXPECT_TRUE(sentence[0] >= 'A' && sentence[0] <= 'Z') << sentence;
    EXPECT_EQ(sentence.back(), '.') << sentence;
    EXPECT_EQ(sentence.find_first_of("\\\n\"'"), std::string::npos) << sentence;
  }
}

TEST(OptionTable, IsSearchedByTheWholeName) {
  for (size_t i = 0; i < kOptionCount; ++i) {
    const std::string name = kOptionTable[i].name;
    EXPECT_EQ(find_option(name), i);
    EXPECT_EQ(&nearest_option(name), &kOptionTable[i]);
    EXPECT_EQ(find_option(name + "X"), kOptionCount);
    EXPECT_EQ(find_option("MEMPOOL_" + name), kOptionCount);
  }
  EXPECT_EQ(find_option(""), kOptionCount);
  EXPECT_EQ(find_option("stats"), kOptionCount);
}

// Of all pairs of letters, and some are as near to one name as to another.
TEST(OptionTable, NearestIsTheFirstOfThoseWithFewestEdits) {
  size_t ties = 0;
  for (char a = 'A'; a <= 'Z'; ++a) {
    for (char b = 'A'; b <= 'Z'; ++b) {
      const std::string name = {a, b, 'T', 'A'};
      size_t fewest = SIZE_MAX;
      for (const OptionInfo& info : kOptionTable) {
        fewest = std::min(fewest, edit_distance(name, info.name));
      }
      size_t at_fewest = 0;
      for (const OptionInfo& info : kOptionTable) {
        if (edit_distance(name, info.name) != fewest) continue;
        if (at_fewest == 0) {
          EXPECT_EQ(&nearest_option(name), &info) << name;
        }
        ++at_fewest;
      }
      ties += at_fewest > 1 ? 1 : 0;
    }
  }
  EXPECT_GT(ties, 0U);
}

TEST(OptionTable, DescribesRangesForAPerson) {
  EXPECT_EQ(range_of(kOptionTable[find_option("STATS")]), "off, on, json");
  EXPECT_EQ(range_of(kOptionTable[find_option("STATS_FILE")]), "a file name");
  EXPECT_EQ(range_of(kOptionTable[find_option("MAGAZINE_BYTES")]), "64K to 64M");
  EXPECT_EQ(range_of(kOptionTable[find_option("RETAIN")]), "0 to 1T");
  EXPECT_EQ(range_of(kOptionTable[find_option("STATS")], 6), "off, ");
  EXPECT_EQ(range_of(kOptionTable[find_option("STATS")], 1), "");
}

TEST(OptionTable, DescribesEachRangeWhole) {
  for (const OptionInfo& info : kOptionTable)
    EXPECT_LT(range_of(info, 64).size(), 63U) << info.name;
}

}  // namespace
}  // namespace elasticpool
