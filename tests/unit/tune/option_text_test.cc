// Sizes, names and file names as text: every suffix and boundary, and against naive models.
#include "tune/option_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/units.h"

namespace elasticpool {
namespace {

constexpr unsigned kSeed = 20240611;

std::string written_size(uint64_t bytes) {
  char buffer[32];
  TextWriter out(buffer, sizeof buffer);
  write_size(out, bytes);
  EXPECT_FALSE(out.truncated());
  return {out.data(), out.size()};
}

void expect_bytes(const std::string& text, uint64_t bytes) {
  const ParsedSize parsed = parse_size(text);
  EXPECT_EQ(parsed.error, SizeError::kNone) << text;
  EXPECT_EQ(parsed.bytes, bytes) << text;
}

void expect_error(const std::string& text, SizeError error) {
  EXPECT_EQ(parse_size(text).error, error) << '"' << text << '"';
  EXPECT_EQ(parse_size(text).bytes, 0U) << '"' << text << '"';
}

// With arithmetic that cannot overflow and no early exit.
std::optional<unsigned __int128> naive_size(const std::string& text) {
  const size_t digits = text.find_first_not_of("0123456789");
  if (text.empty() || digits == 0) return {};
  const std::string suffix = digits == std::string::npos ? "" : text.substr(digits);
  const size_t power = suffix.empty() ? 0 : std::string("KMGTkmgt").find(suffix) % 4 + 1;
  if (suffix.size() > 1 || (!suffix.empty() && std::string("KMGTkmgt").find(suffix) > 7)) return {};
  unsigned __int128 value = 0;
  for (const char c : text.substr(0, digits)) {
    value = std::min<unsigned __int128>(value * 10 + static_cast<unsigned>(c - '0'),
                                        static_cast<unsigned __int128>(1) << 80);
  }
  for (size_t i = 0; i < power; ++i) value *= 1024;
  return value;
}

TEST(ParseSize, KnowsEachSuffixInBothCases) {
  expect_bytes("0", 0);
  expect_bytes("1", 1);
  expect_bytes("007", 7);
  expect_bytes("64K", 64 * kKiB);
  expect_bytes("64k", 64 * kKiB);
  expect_bytes("3M", 3 * kMiB);
  expect_bytes("3m", 3 * kMiB);
  expect_bytes("5G", 5 * kGiB);
  expect_bytes("5g", 5 * kGiB);
  expect_bytes("1T", 1024 * kGiB);
  expect_bytes("1t", 1024 * kGiB);
  expect_bytes("0T", 0);
}

TEST(ParseSize, EndsAtTwoToThe64) {
  expect_bytes("18446744073709551615", UINT64_MAX);
  expect_error("18446744073709551616", SizeError::kTooLarge);
  expect_error("99999999999999999999999999999999999999", SizeError::kTooLarge);
  expect_bytes("18014398509481983K", UINT64_MAX - 1023);
  expect_error("18014398509481984K", SizeError::kTooLarge);
  expect_bytes("16777215T", uint64_t{16777215} << 40);
  expect_error("16777216T", SizeError::kTooLarge);
}

TEST(ParseSize, RefusesWhatIsNoSize) {
  for (const char* text :
       {"", "K", "banana", "-1", "+1", " 1", "1 ", "1 K", "1KB", "1KiB", "1KK", "1.5M", "0x10",
        "1e3", "1P", "K1", "1\n", "\xff", "99999999999999999999999x"}) {
    expect_error(text, SizeError::kNotASize);
  }
}

// All texts of up to three characters over the alphabet that matters, and every single byte.
TEST(ParseSize, AgreesWithTheNaiveParserOnAllShortTexts) {
  const std::string alphabet = "019KkMGTtP- .";
  std::vector<std::string> texts = {""};
  for (size_t begin = 0, length = 1; length <= 3; ++length) {
    const size_t end = texts.size();
    for (; begin < end; ++begin) {
      for (const char c : alphabet) texts.push_back(texts[begin] + c);
    }
  }
  for (int c = 1; c < 256; ++c) texts.emplace_back(1, static_cast<char>(c));
  for (const std::string& text : texts) {
    const auto expected = naive_size(text);
    const ParsedSize parsed = parse_size(text);
    ASSERT_EQ(parsed.error == SizeError::kNotASize, !expected.has_value()) << '"' << text << '"';
    if (!expected) continue;
    ASSERT_EQ(parsed.bytes, static_cast<uint64_t>(*expected)) << text;
  }
}

TEST(ParseSize, AgreesWithTheNaiveParserOnRandomTexts) {
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  const std::string alphabet = "01234567890123456789KMGT";
  for (int round = 0; round < 200'000; ++round) {
    std::string text(random() % 24, ' ');
    for (char& c : text) c = alphabet[random() % (random() % 8 == 0 ? 24 : 20)];
    const auto expected = naive_size(text);
    const ParsedSize parsed = parse_size(text);
    const SizeError error = !expected                ? SizeError::kNotASize
                            : *expected > UINT64_MAX ? SizeError::kTooLarge
                                                     : SizeError::kNone;
    ASSERT_EQ(parsed.error, error) << text;
    if (error != SizeError::kNone) continue;
    ASSERT_EQ(parsed.bytes, static_cast<uint64_t>(*expected)) << text;
  }
}

TEST(WriteSize, TakesTheLargestSuffixThatDivides) {
  EXPECT_EQ(written_size(0), "0");
  EXPECT_EQ(written_size(1), "1");
  EXPECT_EQ(written_size(1000), "1000");
  EXPECT_EQ(written_size(1023), "1023");
  EXPECT_EQ(written_size(1024), "1K");
  EXPECT_EQ(written_size(1025), "1025");
  EXPECT_EQ(written_size(kMiB + kKiB), "1025K");
  EXPECT_EQ(written_size(1024 * kGiB), "1T");
  EXPECT_EQ(written_size(1024 * 1024 * kGiB), "1024T");
  EXPECT_EQ(written_size(UINT64_MAX), "18446744073709551615");
}

TEST(WriteSize, IsReadBackByParseSize) {
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937_64 random(kSeed);
  for (int round = 0; round < 100'000; ++round) {
    const uint64_t bytes = random() >> random() % 64 << random() % 64;
    expect_bytes(written_size(bytes), bytes);
  }
}

std::string printable(std::string_view text, size_t bytes_max) {
  char buffer[64];
  TextWriter out(buffer, sizeof buffer);
  write_printable(out, text, bytes_max);
  return {out.data(), out.size()};
}

TEST(WritePrintable, HidesControlsAndCutsWhatIsLong) {
  EXPECT_EQ(printable("", 8), "");
  EXPECT_EQ(printable("a b~", 8), "a b~");
  EXPECT_EQ(printable("a\nb\x1b[\x7f\xc3", 8), "a?b?[??");
  EXPECT_EQ(printable("12345678", 8), "12345678");
  EXPECT_EQ(printable("123456789", 8), "12345678...");
}

size_t naive_distance(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return a.size() + b.size();
  const std::string_view shorter_a = a.substr(1);
  const std::string_view shorter_b = b.substr(1);
  return std::min({naive_distance(shorter_a, shorter_b) + (a[0] == b[0] ? 0 : 1),
                   naive_distance(shorter_a, b) + 1, naive_distance(a, shorter_b) + 1});
}

TEST(EditDistance, IsThatOfTheDefinitionForAllShortWords) {
  std::vector<std::string> words = {""};
  for (size_t i = 0; words[i].size() < 4; ++i) {
    for (const char c : {'a', 'b', 'c'}) words.push_back(words[i] + c);
  }
  for (const std::string& a : words) {
    for (const std::string& b : words)
      ASSERT_EQ(edit_distance(a, b), naive_distance(a, b)) << a << ' ' << b;
  }
}

TEST(EditDistance, KnowsTheTextbook) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  EXPECT_EQ(edit_distance("intention", "execution"), 5U);
  EXPECT_EQ(edit_distance("STAST", "STATS"), 2U);
  EXPECT_EQ(edit_distance("stats_file", "STATS_FILE"), 0U);
  EXPECT_EQ(edit_distance("{@[", "[`{"), 3U) << "next to the letters";
}

TEST(EditDistance, LooksAtTheFirstBytesOnly) {
  const std::string most(kEditBytesMax, 'x');
  EXPECT_EQ(edit_distance(most, most + "yyy"), 0U);
  EXPECT_EQ(edit_distance("", most + "yyy"), kEditBytesMax);
  EXPECT_EQ(edit_distance(std::string(1 << 20, 'x'), "STATS"), kEditBytesMax);
}

std::string expanded(std::string_view pattern, int process_id) {
  char path[64] = "before";
  EXPECT_TRUE(expand_path(pattern, process_id, path, sizeof path)) << pattern;
  return path;
}

TEST(ExpandPath, PutsTheProcessIdForPercentP) {
  EXPECT_EQ(expanded("", 42), "");
  EXPECT_EQ(expanded("plain", 42), "plain");
  EXPECT_EQ(expanded("%p", 42), "42");
  EXPECT_EQ(expanded("stats-%p.json", 4194304), "stats-4194304.json");
  EXPECT_EQ(expanded("%p%p/%p", 7), "77/7");
}

TEST(ExpandPath, LeavesOtherPerCentSigns) {
  EXPECT_EQ(expanded("%", 42), "%");
  EXPECT_EQ(expanded("%%", 42), "%");
  EXPECT_EQ(expanded("%%p", 42), "%p");
  EXPECT_EQ(expanded("%%%p", 42), "%42");
  EXPECT_EQ(expanded("%d%P%", 42), "%d%P%");
}

TEST(ExpandPath, NeverWritesBehindTheEnd) {
  const std::string_view pattern = "%p/abc%%";
  const std::string whole = "12345/abc%";
  for (size_t capacity = 0; capacity < 16; ++capacity) {
    std::string path(32, '#');
    const bool fits = expand_path(pattern, 12345, path.data(), capacity);
    EXPECT_EQ(fits, capacity > whole.size()) << capacity;
    EXPECT_EQ(path.substr(0, path.find_first_of(std::string_view("\0#", 2))), fits ? whole : "");
    EXPECT_EQ(path.find_first_not_of('#', capacity), std::string::npos) << capacity;
  }
}

// By the definition: four numbers of digits, one comma between each two.
bool naive_percents(const std::string& text, std::vector<unsigned>* percents) {
  percents->clear();
  std::string number;
  for (const char c : text + ",") {
    if (c != ',' && (c < '0' || c > '9')) return false;
    if (c != ',') {
      number += c;
      continue;
    }
    if (number.empty()) return false;
    percents->push_back(static_cast<unsigned>(std::stoul(number)));
    number.clear();
  }
  if (percents->size() != 4 || percents->front() < 1 || percents->back() > 100) return false;
  return std::adjacent_find(percents->begin(), percents->end(), std::greater_equal<>()) ==
         percents->end();
}

void expect_percents_as_naive(const std::string& text) {
  std::vector<unsigned> expected;
  uint8_t percents[4] = {};
  const bool is_good = naive_percents(text, &expected);
  ASSERT_EQ(parse_percents(text, percents), is_good) << '"' << text << '"';
  for (size_t i = 0; is_good && i < 4; ++i) ASSERT_EQ(percents[i], expected[i]) << text;
}

TEST(Percents, FourRisingNumbers) {
  uint8_t percents[4];
  EXPECT_TRUE(parse_percents("1,2,3,4", percents));
  EXPECT_TRUE(parse_percents("97,98,99,100", percents));
  EXPECT_EQ(percents[3], 100);
  for (const char* bad : {"",          ",",         ",,,",         "1",
                          "1,2,3",     "1,2,3,",    ",1,2,3",      "1,2,3,4,",
                          "1,2,3,4,5", "0,1,2,3",   "1,1,2,3",     "4,3,2,1",
                          "1,2,3,101", "1,2,3,256", "1,2,3,65536", "1,2,3,4294967297",
                          "-1,2,3,4",  "+1,2,3,4",  " 1,2,3,4",    "1, 2,3,4",
                          "1,2,3,4 ",  "1.5,2,3,4", "1;2;3;4",     "a,b,c,d",
                          "1%,2,3,4"}) {
    EXPECT_FALSE(parse_percents(bad, percents)) << '"' << bad << '"';
  }
}

// Every text up to seven characters out of those that matter, the shortest good ones among them;
// and one wrong character at each place of longer ones.
TEST(Percents, AgreeWithTheDefinition) {
  constexpr std::string_view kCharacters = "0123,";
  size_t count = 1;
  for (size_t length = 0; length <= 7; ++length, count *= kCharacters.size()) {
    for (size_t number = 0; number < count; ++number) {
      std::string text;
      for (size_t i = 0, rest = number; i < length; ++i, rest /= kCharacters.size()) {
        text += kCharacters[rest % kCharacters.size()];
      }
      expect_percents_as_naive(text);
    }
  }
  for (const std::string good : {"1,2,3,4", "7,10,50,100", "70,80,90,95", "97,98,99,100"}) {
    for (size_t at = 0; at < good.size(); ++at) {
      for (int c = 1; c < 256; ++c) {
        std::string text = good;
        text[at] = static_cast<char>(c);
        expect_percents_as_naive(text);
      }
      expect_percents_as_naive(std::string(good).erase(at, 1));
    }
  }
}

TEST(Percents, AgreeOnRandomNumbers) {
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  for (int i = 0; i < 100'000; ++i) {
    std::vector<unsigned> numbers(random() % 8 == 0 ? random() % 6 : 4);
    for (unsigned& number : numbers) number = static_cast<unsigned>(random() % 110);
    if (random() % 2 == 0) std::sort(numbers.begin(), numbers.end());
    std::string text;
    for (const unsigned number : numbers) {
      if (!text.empty()) text += ',';
      text += std::to_string(number);
    }
    expect_percents_as_naive(text);
  }
}

TEST(Target, IsAWordAPathOrACommand) {
  for (const char* good : {"off", "stderr", "syslog", "/", "/a", "//", "exec:a", "exec: "}) {
    EXPECT_TRUE(is_target(good)) << good;
  }
  for (const char* bad : {"", "of", "offf", "OFF", "std", "stderr ", " stderr", "syslog\n", "a",
                          "a/b", "./a", "~/a", "exec", "exec:", "Exec:a", " exec:a", "exec;a"}) {
    EXPECT_FALSE(is_target(bad)) << bad;
  }
  EXPECT_FALSE(is_target(std::string_view("exec:a", 5))) << "not beyond its end";
  EXPECT_FALSE(is_target(std::string_view("/", 0)));
}

}  // namespace
}  // namespace elasticpool
