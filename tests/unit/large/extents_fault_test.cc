// One scenario, run in a fresh process for every system call that it makes, with that call refused:
// by lack of memory, by lack of memory from there on, because somebody else is there.
//
// Then: no content is lost, nothing is handed out twice, every claimed granule is accounted for;
// one refused call alone refuses no request; and once the system gives again, everything is served.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blocks.h"
#include "fresh_process.h"
#include "large/extents.h"
#include "scripted_vm.h"

namespace elasticpool::test {
namespace {

constexpr size_t kRetainBytes = 4 * kMiB;

void scenario(Blocks& blocks) {
  const int a = blocks.allocate(1200 * kKiB);
  const int b = blocks.allocate(3 * kMiB);
  const int c = blocks.allocate(5 * kMiB + 77);
  const int d = blocks.allocate(2 * kMiB, 8 * kMiB);
  blocks.free(b);
  const int e = blocks.allocate(2500 * kKiB);
  for (size_t kib = 1200; kib < 9000; kib += kib / 3) blocks.resize(a, kib * kKiB);
  blocks.resize(c, 2 * kMiB + 5);
  blocks.resize(c, 4 * kMiB);
  blocks.verify_all();
  blocks.free(e);
  large_release(0);
  const int f = blocks.allocate(1500 * kKiB);
  blocks.free(a);
  const int g = blocks.allocate(10 * kMiB);
  blocks.resize(d, 12 * kMiB);
  blocks.verify_all();
  blocks.free(c);
  blocks.free(g);
  // More addresses than are left: all that is kept for later goes.
  bool zeroed = false;
  const size_t zone_bytes = g_large_zone.frames_max * kFrameBytes;
  EXPECT_EQ(large_allocate(zone_bytes, 1, &zeroed), nullptr);
  const int h = blocks.allocate(20 * kMiB);
  blocks.resize(f, 30 * kMiB);
  blocks.resize(h, 18 * kMiB);
  blocks.allocate(1100 * kKiB);
  blocks.free_all();
  large_release(kMiB);
}

bool accounts_balance() {
  const LargeStats stats = large_stats();
  const uint64_t claimed = g_large_zone.published_steps() * kGranuleBytes;
  const uint64_t known =
      stats.free_resident_bytes + stats.free_clean_bytes + stats.hole_bytes + stats.lost_bytes;
  const uint64_t mapped = stats.free_resident_bytes + stats.free_clean_bytes;
  const bool balanced = stats.live_extents == 0 && stats.live_bytes == 0 &&
                        stats.requests == stats.frees && claimed == known &&
                        mapped == stats.mapped_bytes &&
                        mapped == ScriptedVm::instance().mapped_bytes();
  if (!balanced) {
    std::printf("claimed %llu known %llu mapped %llu or %llu by the script, live %llu\n",
                static_cast<unsigned long long>(claimed), static_cast<unsigned long long>(known),
                static_cast<unsigned long long>(stats.mapped_bytes),
                static_cast<unsigned long long>(ScriptedVm::instance().mapped_bytes()),
                static_cast<unsigned long long>(stats.live_extents));
  }
  return balanced;
}

enum Outcome : int { kFine, kWrong, kNotReached };

Outcome run_with(Refusal how, uint64_t call) {
  ScriptedVm& vm = ScriptedVm::instance();
  large_boot(FitPolicy::kBest, kRetainBytes);
  Blocks blocks;
  vm.refuse(how, call);
  scenario(blocks);
  scenario(blocks);
  const bool reached = vm.refused();
  vm.refuse(Refusal::kNone, 0);
  bool fine = accounts_balance() && blocks.failures() == 0;
  if (how != Refusal::kNoMemoryFromThereOn && blocks.refused() != 0) {
    std::printf("one refused call refused %llu requests\n",
                static_cast<unsigned long long>(blocks.refused()));
    fine = false;
  }
  Blocks afterwards;
  scenario(afterwards);
  fine = fine && accounts_balance() && afterwards.failures() == 0 && afterwards.refused() == 0;
  if (how != Refusal::kTaken) fine = fine && large_stats().lost_bytes == 0;
  fine = fine && vm.violations() == 0 && !testing::Test::HasFailure();
  if (!fine) return kWrong;
  return reached ? kFine : kNotReached;
}

Outcome run_in_child(Refusal how, uint64_t call) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    const Outcome outcome = run_with(how, call);
    std::fflush(stdout);
    _exit(outcome);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return kWrong;
  return WIFEXITED(status) ? static_cast<Outcome>(WEXITSTATUS(status)) : kWrong;
}

void refuse_every_call_once(Refusal how) {
  ScriptedVm::instance().install();
  use_test_zones();
  uint64_t call = 1;
  for (;; ++call) {
    const Outcome outcome = run_in_child(how, call);
    ASSERT_NE(outcome, kWrong) << "call " << call;
    if (outcome == kNotReached) break;
  }
  EXPECT_GT(call, 30U) << "the scenario makes too few system calls to test anything";
}

class ExtentFaults : public testing::TestWithParam<Refusal> {};

TEST_P(ExtentFaults, EverySystemCallOnce) {
  run_in_fresh_process([] { refuse_every_call_once(GetParam()); });
}

INSTANTIATE_TEST_SUITE_P(Each, ExtentFaults,
                         testing::Values(Refusal::kNoMemory, Refusal::kNoMemoryFromThereOn,
                                         Refusal::kTaken));

}  // namespace
}  // namespace elasticpool::test
