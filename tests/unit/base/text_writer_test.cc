// base/text_writer.h against snprintf, at every capacity.
#include "base/text_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

namespace elasticpool {
namespace {

constexpr unsigned kSeed = 102;

std::vector<uint64_t> numbers() {
  std::vector<uint64_t> all = {0, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / 2};
  for (uint64_t power = 1, i = 0; i < 20; ++i, power *= 10) {
    all.insert(all.end(), {power - 1, power, power + 1});
  }
  std::mt19937_64 random(kSeed);
  for (int i = 0; i < 20000; ++i) all.push_back(random() >> (random() % 64));
  return all;
}

template <typename Write>
std::string written(Write write) {
  char buffer[256];
  TextWriter out(buffer, sizeof buffer);
  write(out);
  EXPECT_FALSE(out.truncated());
  return {out.data(), out.size()};
}

template <typename... Values>
std::string printed(const char* format, Values... values) {
  char buffer[256];
  snprintf(buffer, sizeof buffer, format, values...);
  return buffer;
}

TEST(TextWriter, Decimal) {
  for (const uint64_t x : numbers()) {
    ASSERT_EQ(written([&](TextWriter& out) { out.decimal(x); }), printed("%" PRIu64, x));
  }
}

TEST(TextWriter, Hex) {
  for (const uint64_t x : numbers()) {
    ASSERT_EQ(written([&](TextWriter& out) { out.hex(x); }), printed("0x%" PRIx64, x));
  }
}

TEST(TextWriter, Fixed) {
  for (const uint64_t x : numbers()) {
    ASSERT_EQ(written([&](TextWriter& out) { out.fixed(x, 0); }), printed("%" PRIu64, x));
    uint64_t scale = 10;
    for (int digits = 1; digits < 19; ++digits, scale *= 10) {
      ASSERT_EQ(written([&](TextWriter& out) { out.fixed(x, static_cast<unsigned>(digits)); }),
                printed("%" PRIu64 ".%0*" PRIu64, x / scale, digits, x % scale));
    }
  }
}

TEST(TextWriter, HumanBytes) {
  constexpr uint64_t kKi = 1024;
  const std::pair<uint64_t, const char*> examples[] = {
      {0, "0 B"},
      {512, "512 B"},
      {kKi - 1, "1023 B"},
      {kKi, "1.0 KiB"},
      {kKi * 3 / 2, "1.5 KiB"},
      {64 * kKi * kKi, "64.0 MiB"},
      {kKi * kKi * kKi * 3 / 2, "1.5 GiB"},
      {kKi * kKi * kKi * kKi * 3, "3.0 TiB"},
      {UINT64_MAX, "16777216.0 TiB"},
  };
  for (const auto& [bytes, text] : examples) {
    EXPECT_EQ(written([&, x = bytes](TextWriter& out) { out.human_bytes(x); }), text);
  }
}

TEST(TextWriter, HumanBytesAreRightToOneDigit) {
  const std::string units[] = {" B", " KiB", " MiB", " GiB", " TiB"};
  for (const uint64_t x : numbers()) {
    unsigned unit = 0;
    long double value = static_cast<long double>(x);
    for (; value >= 1024 && unit < 4; ++unit) value /= 1024;
    const std::string text = written([&](TextWriter& out) { out.human_bytes(x); });
    size_t parsed = 0;
    const long double shown = std::stold(text, &parsed);
    ASSERT_EQ(text.substr(parsed), units[unit]) << x;
    ASSERT_NEAR(static_cast<double>(shown - value), 0.0, 0.0511) << x << " as " << text;
  }
}

TEST(TextWriter, Percent) {
  EXPECT_EQ(written([](TextWriter& out) { out.percent(0, 0); }), "-");
  EXPECT_EQ(written([](TextWriter& out) { out.percent(7, 0); }), "-");
  EXPECT_EQ(written([](TextWriter& out) { out.percent(0, 9); }), "0.0%");
  EXPECT_EQ(written([](TextWriter& out) { out.percent(1, 3); }), "33.3%");
  EXPECT_EQ(written([](TextWriter& out) { out.percent(2, 3); }), "66.7%");
  EXPECT_EQ(written([](TextWriter& out) { out.percent(5, 2); }), "250.0%");
  EXPECT_EQ(written([](TextWriter& out) { out.percent(UINT64_MAX, UINT64_MAX); }), "100.0%");
}

TEST(TextWriter, Columns) {
  EXPECT_EQ(written([](TextWriter& out) { out.text("ab").pad_to(5).text("c"); }), "ab   c");
  EXPECT_EQ(written([](TextWriter& out) { out.text("abcde").pad_to(5).text("f"); }), "abcdef");
  EXPECT_EQ(written([](TextWriter& out) { out.text("abcdef").pad_to(3).text("g"); }), "abcdefg");
  EXPECT_EQ(written([](TextWriter& out) { out.text("abcd\nx").pad_to(3).text("y"); }),
            "abcd\nx  y");
  for (const uint64_t x : numbers()) {
    ASSERT_EQ(written([&](TextWriter& out) { out.decimal_at(12, x); }), printed("%12" PRIu64, x));
    ASSERT_EQ(written([&](TextWriter& out) { out.text("id ").decimal_at(12, x); }),
              x < 1000000000 ? printed("id %9" PRIu64, x) : printed("id %" PRIu64, x));
  }
}

// One of each, over two lines.
void write_page(TextWriter& out) {
  out.text("name").pad_to(8).decimal(1234567).text("\n").hex(0xDEADBEEF).decimal_at(20, 42);
  out.fixed(31415, 4).human_bytes(1536).percent(1, 8).bytes("\0x", 2).pad_to(80);
}

TEST(TextWriter, DropsWhatDoesNotFit) {
  const std::string whole = written(write_page);
  for (size_t capacity = 0; capacity <= whole.size() + 1; ++capacity) {
    std::vector<char> buffer(capacity + 1, '#');
    TextWriter out(buffer.data(), capacity);
    write_page(out);
    ASSERT_EQ(std::string(out.data(), out.size()), whole.substr(0, capacity));
    ASSERT_EQ(out.truncated(), capacity < whole.size()) << capacity;
    ASSERT_EQ(buffer[capacity], '#') << "written behind a buffer of " << capacity;
  }
}

struct Collector {
  std::string text;
  size_t longest = 0;
  size_t pieces = 0;
};

void collect(void* context, const char* bytes, size_t count) {
  auto* collector = static_cast<Collector*>(context);
  collector->text.append(bytes, count);
  collector->longest = std::max(collector->longest, count);
  ++collector->pieces;
}

TEST(TextWriter, SinkTakesAll) {
  const std::string whole = written(write_page);
  for (size_t capacity = 1; capacity <= whole.size() + 1; ++capacity) {
    Collector collector;
    std::vector<char> buffer(capacity + 1, '#');
    TextWriter out(buffer.data(), capacity, collect, &collector);
    write_page(out);
    out.flush();
    ASSERT_EQ(collector.text, whole) << capacity;
    ASSERT_FALSE(out.truncated());
    ASSERT_EQ(out.size(), 0U);
    ASSERT_LE(collector.longest, capacity);
    ASSERT_EQ(buffer[capacity], '#');
    const size_t pieces = collector.pieces;
    out.flush();
    ASSERT_EQ(collector.pieces, pieces) << "an empty buffer was handed on";
  }
}

}  // namespace
}  // namespace elasticpool
