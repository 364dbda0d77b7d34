// The parser of the environment: each option's words and bounds, every message word by word, and
// that garbage changes nothing but what it says.
#include "tune/options.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "tune/option_text.h"

namespace elasticpool {
namespace {

constexpr unsigned kSeed = 20240612;

std::vector<std::string> g_lines;

void collect(const char* line, size_t line_bytes) { g_lines.emplace_back(line, line_bytes); }

using Lines = std::vector<std::string>;

Lines load(const std::vector<std::string>& environment, bool secure = false) {
  std::vector<const char*> pointers;
  for (const std::string& entry : environment) pointers.push_back(entry.c_str());
  pointers.push_back(nullptr);
  g_lines.clear();
  load_options(pointers.data(), secure, collect);
  return g_lines;
}

struct Echo {
  std::string value;
  std::string fallback;
  bool is_set = false;
};

std::map<std::string, Echo> echo() {
  std::map<std::string, Echo> states;
  for_each_option(
      [](void* context, const OptionState& state) {
        auto& all = *static_cast<std::map<std::string, Echo>*>(context);
        all[state.info.name] = {state.value, state.fallback, state.is_set};
      },
      &states);
  return states;
}

std::string range_of(const OptionInfo& info) {
  char text[64];
  return {text, describe_range(info, text, sizeof text)};
}

class OptionsTest : public testing::Test {
 protected:
  void TearDown() override { load({}); }
};

void expect_defaults() {
  EXPECT_EQ(options().stats, StatsMode::kOff);
  EXPECT_STREQ(options().stats_file, "");
  EXPECT_EQ(options().deepbind, DeepbindPolicy::kClear);
  EXPECT_EQ(options().foreign, ForeignPolicy::kLibc);
  EXPECT_EQ(options().magazine_bytes, size_t{2} << 20);
  EXPECT_EQ(options().large_fit, LargeFit::kBest);
  EXPECT_EQ(options().retain_bytes, size_t{8} << 20);
  EXPECT_EQ(options().numa, NumaPolicy::kLocal);
  for (const auto& [name, state] : echo()) {
    EXPECT_EQ(state.value, state.fallback) << name;
    EXPECT_FALSE(state.is_set) << name;
  }
}

// The first test of the file: nothing has been loaded yet.
TEST_F(OptionsTest, HoldDefaultsBeforeTheyAreLoaded) { expect_defaults(); }

TEST_F(OptionsTest, HoldDefaultsWithoutEnvironment) {
  load_options(nullptr, false, collect);
  expect_defaults();
  EXPECT_EQ(load({}), Lines());
  expect_defaults();
}

TEST_F(OptionsTest, TakeEveryWordOfEveryChoice) {
  for (const OptionInfo& info : kOptionTable) {
    if (info.kind != OptionKind::kChoice) continue;
    for (const ChoiceWord* word = info.words; word->word != nullptr; ++word) {
      for (const std::string spelled : {word->word, word->alias}) {
        if (spelled.empty()) continue;
        EXPECT_EQ(load({std::string("MEMPOOL_") + info.name + "=" + spelled}), Lines());
        EXPECT_EQ(echo()[info.name].value, word->word);
        EXPECT_TRUE(echo()[info.name].is_set);
      }
    }
  }
}

TEST_F(OptionsTest, PutEachValueInItsPlace) {
  EXPECT_EQ(load({"MEMPOOL_NUMA=off", "HOME=/", "MEMPOOL_RETAIN=0", "MEMPOOL_LARGE_FIT=worst",
                  "MEMPOOL_MAGAZINE_BYTES=65536", "MEMPOOL_FOREIGN=abort", "MEMPOOL_DEEPBIND=keep",
                  "MEMPOOL_STATS_FILE=/tmp/x-%p=y", "MEMPOOL_STATS=json"}),
            Lines());
  EXPECT_EQ(options().stats, StatsMode::kJson);
  EXPECT_STREQ(options().stats_file, "/tmp/x-%p=y");
  EXPECT_EQ(options().deepbind, DeepbindPolicy::kKeep);
  EXPECT_EQ(options().foreign, ForeignPolicy::kAbort);
  EXPECT_EQ(options().magazine_bytes, 65536U);
  EXPECT_EQ(options().large_fit, LargeFit::kWorst);
  EXPECT_EQ(options().retain_bytes, 0U);
  EXPECT_EQ(options().numa, NumaPolicy::kOff);
  load({"MEMPOOL_STATS=1", "MEMPOOL_LARGE_FIT=first"});
  EXPECT_EQ(options().stats, StatsMode::kOn);
  EXPECT_EQ(options().large_fit, LargeFit::kFirst);
  EXPECT_STREQ(options().stats_file, "") << "a second call starts from the defaults";
  load({"MEMPOOL_STATS=0"});
  EXPECT_EQ(options().stats, StatsMode::kOff);
}

TEST_F(OptionsTest, TakeSizesUpToTheirBounds) {
  for (const OptionInfo& info : kOptionTable) {
    if (info.kind != OptionKind::kSize) continue;
    const std::string variable = std::string("MEMPOOL_") + info.name + "=";
    for (const uint64_t good : {info.min, info.max}) {
      EXPECT_EQ(load({variable + std::to_string(good)}), Lines());
      EXPECT_EQ(parse_size(echo()[info.name].value).bytes, good);
    }
    std::vector<uint64_t> bad = {info.max + 1, UINT64_MAX};
    if (info.min > 0) bad.push_back(info.min - 1);
    for (const uint64_t bytes : bad) {
      const std::string text = std::to_string(bytes);
      EXPECT_EQ(load({variable + text}),
                Lines{"elasticpool: " + variable + text + ": out of range (" + range_of(info) +
                      "); using " + echo()[info.name].fallback + "\n"});
      EXPECT_FALSE(echo()[info.name].is_set);
    }
  }
}

TEST_F(OptionsTest, NameTheRangeOfABadSize) {
  EXPECT_EQ(
      load({"MEMPOOL_MAGAZINE_BYTES=banana"}),
      Lines{"elasticpool: MEMPOOL_MAGAZINE_BYTES=banana: not a size (64K to 64M); using 2M\n"});
  EXPECT_EQ(load({"MEMPOOL_MAGAZINE_BYTES=1"}),
            Lines{"elasticpool: MEMPOOL_MAGAZINE_BYTES=1: out of range (64K to 64M); using 2M\n"});
  EXPECT_EQ(load({"MEMPOOL_RETAIN=-1"}),
            Lines{"elasticpool: MEMPOOL_RETAIN=-1: not a size (0 to 1T); using 8M\n"});
  EXPECT_EQ(load({"MEMPOOL_RETAIN=2T"}),
            Lines{"elasticpool: MEMPOOL_RETAIN=2T: out of range (0 to 1T); using 8M\n"});
  EXPECT_EQ(load({"MEMPOOL_RETAIN=99999999999999999999999"}),
            Lines{"elasticpool: MEMPOOL_RETAIN=99999999999999999999999: out of range (0 to 1T); "
                  "using 8M\n"});
  expect_defaults();
}

TEST_F(OptionsTest, NameTheWordsOfABadChoice) {
  EXPECT_EQ(load({"MEMPOOL_STATS=2"}),
            Lines{"elasticpool: MEMPOOL_STATS=2: not one of off, on, json; using off\n"});
  EXPECT_EQ(load({"MEMPOOL_STATS=JSON"}),
            Lines{"elasticpool: MEMPOOL_STATS=JSON: not one of off, on, json; using off\n"});
  EXPECT_EQ(load({"MEMPOOL_LARGE_FIT=besT "}),
            Lines{"elasticpool: MEMPOOL_LARGE_FIT=besT : not one of best, first, worst; using "
                  "best\n"});
  expect_defaults();
}

TEST_F(OptionsTest, TakeALimitAsASizeOrAWord) {
  EXPECT_EQ(options().limit_bytes, kNoLimit);
  EXPECT_EQ(options().soft_limit_bytes, kNoLimit);
  EXPECT_EQ(options().hard_limit_bytes, kNoLimit);
  for (const OptionInfo& info : kOptionTable) {
    if (info.kind != OptionKind::kLimit) continue;
    const std::string variable = std::string("MEMPOOL_") + info.name + "=";
    EXPECT_EQ(info.fallback, kNoLimit);
    for (const char* good : {"1M", "1048576", "64G", "1024T"}) {
      EXPECT_EQ(load({variable + good}), Lines());
      EXPECT_EQ(parse_size(echo()[info.name].value).bytes, parse_size(good).bytes) << good;
      EXPECT_TRUE(echo()[info.name].is_set);
    }
    for (uint64_t i = 0; info.words[i].word != nullptr; ++i) {
      EXPECT_EQ(load({variable + info.words[i].word}), Lines());
      EXPECT_EQ(echo()[info.name].value, info.words[i].word);
    }
  }
  load({"MEMPOOL_LIMIT=2G", "MEMPOOL_SOFT_LIMIT=3M", "MEMPOOL_HARD_LIMIT=4M"});
  EXPECT_EQ(options().limit_bytes, 2 * kGiB);
  EXPECT_EQ(options().soft_limit_bytes, 3 * kMiB);
  EXPECT_EQ(options().hard_limit_bytes, 4 * kMiB);
  load({"MEMPOOL_LIMIT=off", "MEMPOOL_SOFT_LIMIT=off", "MEMPOOL_HARD_LIMIT=off"});
  EXPECT_EQ(options().limit_bytes, kLimitOff);
  EXPECT_EQ(options().soft_limit_bytes, kNoLimit);
  EXPECT_EQ(options().hard_limit_bytes, kNoLimit);
  load({"MEMPOOL_LIMIT=cgroup"});
  EXPECT_EQ(options().limit_bytes, kLimitOfGroup);
  load({"MEMPOOL_LIMIT=auto"});
  EXPECT_EQ(options().limit_bytes, kNoLimit);
}

TEST_F(OptionsTest, NameTheRangeOfABadLimit) {
  EXPECT_EQ(load({"MEMPOOL_LIMIT=banana"}),
            Lines{"elasticpool: MEMPOOL_LIMIT=banana: not a size (auto, off, cgroup, 1M to 1024T); "
                  "using auto\n"});
  EXPECT_EQ(load({"MEMPOOL_LIMIT=0"}),
            Lines{"elasticpool: MEMPOOL_LIMIT=0: out of range (auto, off, cgroup, 1M to 1024T); "
                  "using auto\n"});
  EXPECT_EQ(load({"MEMPOOL_SOFT_LIMIT=1048575"}),
            Lines{"elasticpool: MEMPOOL_SOFT_LIMIT=1048575: out of range (off, 1M to 1024T); using "
                  "off\n"});
  EXPECT_EQ(load({"MEMPOOL_SOFT_LIMIT=auto"}),
            Lines{"elasticpool: MEMPOOL_SOFT_LIMIT=auto: not a size (off, 1M to 1024T); using "
                  "off\n"});
  EXPECT_EQ(load({"MEMPOOL_HARD_LIMIT=1025T"}),
            Lines{"elasticpool: MEMPOOL_HARD_LIMIT=1025T: out of range (off, 1M to 1024T); using "
                  "off\n"});
  // A number that would be a word.
  EXPECT_EQ(load({"MEMPOOL_HARD_LIMIT=18446744073709551614"}),
            Lines{"elasticpool: MEMPOOL_HARD_LIMIT=18446744073709551614: out of range (off, 1M to "
                  "1024T); using off\n"});
  expect_defaults();
}

void expect_levels(int first, int second, int third, int fourth) {
  const int expected[] = {first, second, third, fourth};
  for (size_t i = 0; i < kLevelCount; ++i) {
    EXPECT_EQ(options().pressure_levels.percents[i], expected[i]) << i;
  }
}

TEST_F(OptionsTest, TakeFourRisingNumbersOfPerCent) {
  expect_levels(70, 80, 90, 95);
  EXPECT_EQ(load({"MEMPOOL_PRESSURE_LEVELS=1,2,3,100"}), Lines());
  expect_levels(1, 2, 3, 100);
  EXPECT_EQ(echo()["PRESSURE_LEVELS"].value, "1,2,3,100");
  EXPECT_EQ(echo()["PRESSURE_LEVELS"].fallback, "70,80,90,95");
  for (const std::string bad : {"70,80,90", "70,80,90,95,99", "0,80,90,95", "70,80,90,101",
                                "70,70,90,95", "80,70,90,95", "70 80 90 95", "70,80,90,95 ", "a"}) {
    EXPECT_EQ(load({"MEMPOOL_PRESSURE_LEVELS=" + bad}),
              Lines{"elasticpool: MEMPOOL_PRESSURE_LEVELS=" + bad +
                    ": not four rising numbers of per cent; using 70,80,90,95\n"});
    expect_levels(70, 80, 90, 95);
    EXPECT_FALSE(echo()["PRESSURE_LEVELS"].is_set);
  }
}

TEST_F(OptionsTest, TakeATarget) {
  EXPECT_STREQ(options().alert, "");
  for (const std::string good : {"off", "stderr", "syslog", "/tmp/a b", "exec:cat > x"}) {
    EXPECT_EQ(load({"MEMPOOL_ALERT=" + good}), Lines());
    EXPECT_EQ(options().alert, good);
    EXPECT_EQ(echo()["ALERT"].value, good);
  }
  for (const std::string bad : {"exec:", "on", "x.log", "./x", "STDERR"}) {
    EXPECT_EQ(load({"MEMPOOL_ALERT=" + bad}),
              Lines{"elasticpool: MEMPOOL_ALERT=" + bad +
                    ": not one of stderr, syslog, /FILE, exec:CMD; not used\n"});
    EXPECT_STREQ(options().alert, "");
    EXPECT_FALSE(echo()["ALERT"].is_set);
  }
  std::string longest(1023, 'f');
  longest[0] = '/';
  EXPECT_EQ(load({"MEMPOOL_ALERT=" + longest}), Lines());
  EXPECT_EQ(options().alert, longest);
  EXPECT_EQ(load({"MEMPOOL_ALERT=" + longest + "f"}),
            Lines{"elasticpool: MEMPOOL_ALERT=" + longest.substr(0, 64) +
                  "...: longer than 1023 bytes; not used\n"});
}

TEST_F(OptionsTest, RunNoCommandWithBorrowedRights) {
  for (const std::string target : {"exec:id", "/etc/passwd"}) {
    EXPECT_EQ(load({"MEMPOOL_ALERT=" + target}, true),
              Lines{"elasticpool: MEMPOOL_ALERT=" + target +
                    ": not used in a program that runs with more rights than its caller\n"});
    EXPECT_STREQ(options().alert, "");
  }
}

// Two options of text do not share their place.
TEST_F(OptionsTest, HaveAPlaceForEachText) {
  EXPECT_EQ(load({"MEMPOOL_ALERT=/alert", "MEMPOOL_STATS_FILE=stats"}), Lines());
  EXPECT_STREQ(options().alert, "/alert");
  EXPECT_STREQ(options().stats_file, "stats");
}

TEST_F(OptionsTest, NameTheNearestOption) {
  EXPECT_EQ(load({"MEMPOOL_STAST=1"}),
            Lines{"elasticpool: MEMPOOL_STAST: unknown option, did you mean MEMPOOL_STATS?\n"});
  EXPECT_EQ(
      load({"MEMPOOL_stats_file=x"}),
      Lines{"elasticpool: MEMPOOL_stats_file: unknown option, did you mean MEMPOOL_STATS_FILE?\n"});
  EXPECT_EQ(load({"MEMPOOL_=1"}),
            Lines{"elasticpool: MEMPOOL_: unknown option, did you mean MEMPOOL_THP?\n"});
  EXPECT_EQ(load({"MEMPOOL_A\nB\x1b=1"}),
            Lines{"elasticpool: MEMPOOL_A?B?: unknown option, did you mean MEMPOOL_ALERT?\n"});
  expect_defaults();
}

// With one character left out, doubled, replaced, or swapped with its neighbour.
TEST_F(OptionsTest, AreFoundAgainBehindOneTypingError) {
  for (const OptionInfo& info : kOptionTable) {
    const std::string name = info.name;
    for (size_t i = 0; i < name.size(); ++i) {
      std::vector<std::string> typed(4, name);
      typed[0].erase(i, 1);
      typed[1].insert(i, 1, name[i]);
      typed[2][i] = '#';
      std::swap(typed[3][i], typed[3][i == 0 ? 1 : i - 1]);
      for (const std::string& wrong : typed) {
        if (wrong == name) continue;
        EXPECT_STREQ(nearest_option(wrong).name, info.name) << wrong;
      }
    }
  }
}

TEST_F(OptionsTest, CountAnEmptyValueAsNotSet) {
  std::vector<std::string> environment;
  for (const OptionInfo& info : kOptionTable) {
    environment.push_back(std::string("MEMPOOL_") + info.name + "=");
  }
  EXPECT_EQ(load(environment), Lines());
  expect_defaults();
}

TEST_F(OptionsTest, TakeTheFirstGoodOneOfSeveral) {
  EXPECT_EQ(load({"MEMPOOL_RETAIN=1M", "MEMPOOL_RETAIN=2M"}), Lines());
  EXPECT_EQ(options().retain_bytes, size_t{1} << 20);
  EXPECT_EQ(load({"MEMPOOL_RETAIN=x", "MEMPOOL_RETAIN=2M"}).size(), 1U);
  EXPECT_EQ(options().retain_bytes, size_t{2} << 20);
}

TEST_F(OptionsTest, PassOverWhatIsNotOurs) {
  EXPECT_EQ(load({"", "=", "MEMPOOL", "MEMPOOL=1", "MEMPOOL_STATS", "mempool_STATS=1",
                  "XMEMPOOL_STATS=1", "PATH=MEMPOOL_STATS=1"}),
            Lines());
  expect_defaults();
}

TEST_F(OptionsTest, KeepACopyOfTheFileName) {
  std::string entry = "MEMPOOL_STATS_FILE=report";
  const char* environment[] = {entry.c_str(), nullptr};
  load_options(environment, false, nullptr);
  entry.assign(entry.size(), '#');
  EXPECT_STREQ(options().stats_file, "report");
}

TEST_F(OptionsTest, BoundTheFileName) {
  const std::string longest(1023, 'f');
  EXPECT_EQ(load({"MEMPOOL_STATS_FILE=" + longest}), Lines());
  EXPECT_EQ(options().stats_file, longest);
  EXPECT_EQ(echo()["STATS_FILE"].value, longest);
  EXPECT_EQ(load({"MEMPOOL_STATS_FILE=" + longest + "f"}),
            Lines{"elasticpool: MEMPOOL_STATS_FILE=" + longest.substr(0, 64) +
                  "...: longer than 1023 bytes; not used\n"});
  expect_defaults();
}

TEST_F(OptionsTest, WriteNoFileWithBorrowedRights) {
  EXPECT_EQ(load({"MEMPOOL_STATS_FILE=/etc/passwd", "MEMPOOL_STATS=1"}, true),
            Lines{"elasticpool: MEMPOOL_STATS_FILE=/etc/passwd: not used in a program that runs "
                  "with more rights than its caller\n"});
  EXPECT_STREQ(options().stats_file, "");
  EXPECT_EQ(options().stats, StatsMode::kOn);
}

TEST_F(OptionsTest, AreReadWithoutASink) {
  const char* environment[] = {"MEMPOOL_BANANA=1", "MEMPOOL_STATS=?", "MEMPOOL_NUMA=off", nullptr};
  load_options(environment, false, nullptr);
  EXPECT_EQ(options().numa, NumaPolicy::kOff);
  EXPECT_EQ(options().stats, StatsMode::kOff);
}

std::string garbage(std::mt19937& random) {
  std::string text(random() % 4 == 0 ? random() % 3000 : random() % 12, ' ');
  for (char& c : text) c = static_cast<char>(random() % 255 + 1);
  return text;
}

// Whatever stands there: each entry is one line at most, printable, and no value leaves its range.
TEST_F(OptionsTest, SurviveGarbage) {
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  for (int round = 0; round < 5'000; ++round) {
    std::vector<std::string> environment;
    for (size_t i = random() % 4; i > 0; --i) {
      const OptionInfo& info = kOptionTable[random() % kOptionCount];
      std::string name = random() % 3 == 0 ? garbage(random) : info.name;
      environment.push_back("MEMPOOL_" + name + "=" + garbage(random));
    }
    const Lines lines = load(environment);
    ASSERT_LE(lines.size(), environment.size());
    for (const std::string& line : lines) {
      ASSERT_EQ(line.rfind("elasticpool: MEMPOOL_", 0), 0U) << line;
      ASSERT_EQ(line.find('\n'), line.size() - 1) << line;
      for (size_t i = 0; i + 1 < line.size(); ++i) ASSERT_TRUE(line[i] >= ' ' && line[i] <= '~');
    }
    for (const OptionInfo& info : kOptionTable) {
      if (info.kind != OptionKind::kSize) continue;
      const uint64_t bytes = parse_size(echo()[info.name].value).bytes;
      ASSERT_TRUE(info.min <= bytes && bytes <= info.max) << info.name << ' ' << bytes;
    }
  }
}

// The longest message that there can be is whole.
TEST_F(OptionsTest, EndEveryLine) {
  for (const OptionInfo& info : kOptionTable) {
    const Lines lines = load({std::string("MEMPOOL_") + info.name + "=" + std::string(5000, 'z')});
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_EQ(lines[0].back(), '\n') << lines[0];
  }
  const Lines lines = load({"MEMPOOL_" + std::string(5000, 'Z') + "=1"});
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("?\n"), std::string::npos) << lines[0];
}

}  // namespace
}  // namespace elasticpool
