// base/die.h and base/check.h: each line word by word, then SIGABRT.
#include "base/die.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "base/check.h"

namespace elasticpool {
namespace {

void to_stderr(const char* line, size_t line_bytes) {
  if (write(STDERR_FILENO, line, line_bytes) < 0) _exit(1);
}

const void* at(uintptr_t address) { return reinterpret_cast<const void*>(address); }

// The line is all that the process says.
#define EXPECT_LAST_WORDS(statement, line) \
  EXPECT_EXIT(                             \
      {                                    \
        set_fatal_sink(to_stderr);         \
        statement;                         \
      },                                   \
      testing::KilledBySignal(SIGABRT), testing::Eq(std::string(line)))

TEST(DieDeathTest, Lines) {
  EXPECT_LAST_WORDS(die_double_free(at(0x7f0012345678)),
                    "elasticpool: double free of 0x7f0012345678\n");
  EXPECT_LAST_WORDS(die_interior_free(at(0x10)), "elasticpool: free of interior pointer 0x10\n");
  EXPECT_LAST_WORDS(die_dead_realloc(at(0xabc0)),
                    "elasticpool: realloc of a pointer that is not live 0xabc0\n");
  EXPECT_LAST_WORDS(die_foreign_free(at(UINTPTR_MAX)),
                    "elasticpool: free of foreign pointer 0xffffffffffffffff\n");
  EXPECT_LAST_WORDS(die_dead_size(at(0xabc0)),
                    "elasticpool: malloc_usable_size of a pointer that is not live 0xabc0\n");
  EXPECT_LAST_WORDS(die_foreign_realloc(at(0x10)),
                    "elasticpool: realloc of foreign pointer 0x10\n");
  EXPECT_LAST_WORDS(die_foreign_size(at(0x10)),
                    "elasticpool: malloc_usable_size of foreign pointer 0x10\n");
  EXPECT_LAST_WORDS(die_broken_invariant("two is three"),
                    "elasticpool: broken invariant: two is three\n");
}

TEST(DieDeathTest, NullIsAnAddress) {
  EXPECT_LAST_WORDS(die_foreign_free(nullptr), "elasticpool: free of foreign pointer 0x0\n");
}

TEST(DieDeathTest, LongTextIsCut) {
  const std::string text(2000, 'x');
  EXPECT_LAST_WORDS(die_broken_invariant(text.c_str()),
                    ("elasticpool: broken invariant: " + text).substr(0, 512));
}

TEST(DieDeathTest, WithoutASinkOnlyAborts) {
  EXPECT_EXIT(die_double_free(at(16)), testing::KilledBySignal(SIGABRT),
              testing::Eq(std::string()));
}

TEST(CheckDeathTest, SaysWhereAndWhat) {
  const int two = 2;
  const int line = __LINE__ + 1;
  EXPECT_LAST_WORDS(EP_CHECK(two == 3), "elasticpool: broken invariant: " + std::string(__FILE__) +
                                            ":" + std::to_string(line) + ": two == 3\n");
}

TEST(Check, TrueGoesOn) {
  int evaluated = 0;
  EP_CHECK(++evaluated == 1);
  EXPECT_EQ(evaluated, 1);
}

TEST(CheckDeathTest, AssertOnlyInFullChecks) {
#if defined(EP_CHECKS_FULL)
  EXPECT_EXIT(EP_ASSERT(false), testing::KilledBySignal(SIGABRT), "");
#else
  EP_ASSERT(false);
#endif
}

}  // namespace
}  // namespace elasticpool
