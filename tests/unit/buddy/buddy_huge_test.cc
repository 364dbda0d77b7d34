// buddy_allow_huge(): while it is not allowed, a dense heap asks for no huge page.
#include <gtest/gtest.h>

#include "os/fake_files.h"
#include "os/huge_pages.h"
#include "runs.h"

namespace elasticpool::test {
namespace {

uint64_t huge_frames_after(size_t frames) {
  bool zeroed = false;
  for (size_t i = 0; i < 2 * frames; ++i) {
    EXPECT_NE(buddy_allocate_block(NodeId{0}, kMiB, kMiB, &zeroed), nullptr);
  }
  return buddy_stats(ZoneKind::kMedium).huge_frames;
}

// In a child: what a page costs is learnt once in a process. Nothing is touched but what is timed.
TEST(BuddyHuge, ADenseHeapAsksWhereItIsAllowed) {
  buddy_vm();
  const int status = in_child([] {
    huge_pages_boot();
    if (host_huge_pages() != HostHugePages::kWhereAdvised) _exit(42);
    EXPECT_EQ(huge_frames_after(16), 0U) << "not dense yet";
    buddy_allow_huge(false);
    EXPECT_EQ(huge_frames_after(40), 0U);
    buddy_allow_huge(true);
    // One at least: how many more is a question of what it has cost.
    EXPECT_GE(huge_frames_after(4), 1U);
    const uint64_t before = buddy_stats(ZoneKind::kMedium).huge_frames;
    buddy_allow_huge(false);
    EXPECT_EQ(huge_frames_after(8), before);
  });
  if (WIFEXITED(status) && WEXITSTATUS(status) == 42) {
    GTEST_SKIP() << "transparent_hugepage is not madvise here";
  }
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace elasticpool::test
