// buddy/hugetlb_trial.h: after refusals fewer and fewer frames are tried, and never none.
#include "buddy/hugetlb_trial.h"

#include <gtest/gtest.h>

namespace elasticpool {
namespace {

// Frames until the next one that should be tried, that one not counted.
uint32_t frames_until_try(HugetlbTrial& trial) {
  uint32_t frames = 0;
  while (!trial.should_try()) ++frames;
  return frames;
}

TEST(HugetlbTrial, GoesOnWhileItIsGranted) {
  HugetlbTrial trial;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(trial.should_try());
    trial.note_granted();
  }
}

TEST(HugetlbTrial, PausesTwiceAsLongAfterEachRefusal) {
  HugetlbTrial trial;
  EXPECT_TRUE(trial.should_try());
  uint32_t expected = HugetlbTrial::kFirstPause;
  for (int i = 0; i < 20; ++i) {
    trial.note_refused();
    EXPECT_EQ(frames_until_try(trial), expected) << i;
    expected =
        expected * 2 < HugetlbTrial::kLongestPause ? expected * 2 : HugetlbTrial::kLongestPause;
  }
  // One that is granted ends it.
  trial.note_granted();
  EXPECT_TRUE(trial.should_try());
  trial.note_refused();
  EXPECT_EQ(frames_until_try(trial), HugetlbTrial::kFirstPause);
}

TEST(HugetlbTrial, WhatWentBackMayBeHadAgain) {
  HugetlbTrial trial;
  for (int i = 0; i < 5; ++i) trial.note_refused();
  trial.note_returned();
  EXPECT_TRUE(trial.should_try());
  trial.note_refused();
  EXPECT_EQ(frames_until_try(trial), HugetlbTrial::kFirstPause);
}

}  // namespace
}  // namespace elasticpool
