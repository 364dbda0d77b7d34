// os/kernel_text.h: numbers as kernels write them, and as they do not.
#include "os/kernel_text.h"

#include <gtest/gtest.h>

namespace elasticpool {
namespace {

constexpr uint64_t kUntouched = 77;

uint64_t limit_of(const char* text) {
  uint64_t bytes = kUntouched;
  const bool parsed = parse_limit(text, &bytes);
  EXPECT_EQ(parsed, bytes != kUntouched) << text;
  return bytes;
}

TEST(KernelText, Limits) {
  EXPECT_EQ(limit_of("0\n"), 0U);
  EXPECT_EQ(limit_of("4096\n"), 4096U);
  EXPECT_EQ(limit_of("4096"), 4096U) << "no end of line";
  EXPECT_EQ(limit_of("max\n"), kUnlimitedBytes);
  EXPECT_EQ(limit_of("max"), kUnlimitedBytes);
  EXPECT_EQ(limit_of("-1\n"), kUnlimitedBytes);
  EXPECT_EQ(limit_of("9223372036854771712\n"), kUnlimitedBytes) << "version 1, pages of 4 KiB";
  EXPECT_EQ(limit_of("9223372036854710272\n"), kUnlimitedBytes) << "pages of 64 KiB";
  EXPECT_EQ(limit_of("18446744073709551615\n"), kUnlimitedBytes);
  EXPECT_EQ(limit_of("18446744073709551616\n"), kUnlimitedBytes);
  EXPECT_EQ(limit_of("99999999999999999999\n"), kUnlimitedBytes) << "20 digits";
  EXPECT_EQ(limit_of("4611686018427387903\n"), (uint64_t{1} << 62) - 1);
  EXPECT_EQ(limit_of("4611686018427387904\n"), kUnlimitedBytes);
  for (const char* other : {"", "\n", " 1", "1 ", "1k\n", "0x10\n", "maximum\n", "ma", "m", "-",
                            "-x", "--1", "+1", "1.5\n"}) {
    EXPECT_EQ(limit_of(other), kUntouched) << other;
  }
}

TEST(KernelText, Amounts) {
  uint64_t bytes = kUntouched;
  EXPECT_TRUE(parse_amount("12\n", &bytes));
  EXPECT_EQ(bytes, 12U);
  EXPECT_TRUE(parse_amount("340282366920938463463374607431768211456", &bytes));
  EXPECT_EQ(bytes, UINT64_MAX);
  bytes = kUntouched;
  for (const char* other : {"", "\n", "max\n", "-1\n", "1 2\n", "x"}) {
    EXPECT_FALSE(parse_amount(other, &bytes)) << other;
  }
  EXPECT_EQ(bytes, kUntouched);
}

TEST(KernelText, DecimalsAroundTheLargest) {
  for (const char* text : {"18446744073709551614", "18446744073709551615", "18446744073709551616",
                           "18446744073709551620", "184467440737095516150"}) {
    const char* cursor = text;
    uint64_t value = 0;
    ASSERT_TRUE(parse_decimal(cursor, &value));
    EXPECT_EQ(*cursor, '\0');
    EXPECT_EQ(value, text[19] == '4' && cursor - text == 20 ? UINT64_MAX - 1 : UINT64_MAX) << text;
  }
}

TEST(KernelText, NamedNumbers) {
  uint64_t value = kUntouched;
  const char stat[] = "total_inactive_file 1\ninactive_file_x 2\ninactive_file 3\nlast 4";
  EXPECT_TRUE(find_number(stat, "inactive_file", &value));
  EXPECT_EQ(value, 3U);
  EXPECT_TRUE(find_number(stat, "last", &value));
  EXPECT_EQ(value, 4U);
  EXPECT_TRUE(find_number("MemTotal:       24684092 kB\n", "MemTotal:", &value));
  EXPECT_EQ(value, 24684092U);
  value = kUntouched;
  EXPECT_FALSE(find_number(stat, "file", &value));
  EXPECT_FALSE(find_number("inactive_file\n", "inactive_file", &value)) << "cut off";
  EXPECT_FALSE(find_number("inactive_file -1\n", "inactive_file", &value));
  EXPECT_FALSE(find_number("inactive_file3\n", "inactive_file", &value));
  EXPECT_FALSE(find_number("", "inactive_file", &value));
  EXPECT_FALSE(find_number("\n\n", "inactive_file", &value));
  EXPECT_EQ(value, kUntouched);
}

}  // namespace
}  // namespace elasticpool
