// Runs a part of a test in a process of its own, in which nothing else has been done.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace elasticpool::test {

template <typename Body>
void run_in_fresh_process(const Body& body) {
  // The program is started anew, with this test alone.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto run_and_exit = [&] {
    body();
    std::fflush(stdout);
    std::exit(testing::Test::HasFailure() ? 1 : 0);
  };
  EXPECT_EXIT(run_and_exit(), testing::ExitedWithCode(0), "");
}

}  // namespace elasticpool::test
