// os/numa_pages.h: the kernel's text as it comes, in pieces cut anywhere, and our own pages.
#include "os/numa_pages.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "base/bits.h"
#include "os/vm.h"

namespace elasticpool {
namespace {

constexpr char kText[] =
    "55d0c0ffe000 default file=/a/path N1=77 kB/that/is/longer/than/any/word/that/counts/N0=5 "
    "mapped=3 N0=3 kernelpagesize_kB=4\n"
    "140000000000 prefer:1 anon=515 dirty=515 N0=3 N1=512 kernelpagesize_kB=4\n"
    "140000400000 interleave:0-1 anon=2 dirty=2 N0=1 N1=1 kernelpagesize_kB=4\n"
    "150000000000 default huge anon=2 dirty=2 N0=1 N10=1 kernelpagesize_kB=2048\n"
    "150000900000 default\n"
    "7ffd00000000 default stack anon=3 N0=3 N=1 Nx=1 kernelpagesize_kB=4\n";

struct Ranges {
  PagesOfRange range[2] = {{.start = 0x140000000000, .end = 0x140000800000},
                           {.start = 0x150000000000, .end = 0x150001000000}};
};

TEST(NumaMaps, CountsPagesOfMappingsThatStartInARange) {
  const std::string text = kText;
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    Ranges ranges;
    NumaMapsParser parser(ranges.range);
    for (size_t from = 0; from < text.size(); from += piece) {
      parser.feed(text.data() + from, std::min(piece, text.size() - from));
    }
    ASSERT_EQ(ranges.range[0].resident_bytes[0], 4 * 4 * kKiB) << piece;
    ASSERT_EQ(ranges.range[0].resident_bytes[1], 513 * 4 * kKiB) << piece;
    ASSERT_EQ(ranges.range[1].resident_bytes[0], 2 * kMiB) << piece;
    // Node 10 shares the row of node 2.
    ASSERT_EQ(ranges.range[1].resident_bytes[10 % kNodesMax], 2 * kMiB) << piece;
  }
}

TEST(NumaMaps, FindsPagesOfOurs) {
  void* memory = vm().map_anywhere(kFrameBytes);
  ASSERT_NE(memory, nullptr);
  memset(memory, 1, kFrameBytes / 2);
  PagesOfRange range[1];
  // What the kernel merged in front of it counts too.
  range[0].start = address_of(memory) - 16 * kMiB;
  range[0].end = address_of(memory) + kFrameBytes;
  const bool told = numa_resident_pages(range);
  EXPECT_TRUE(vm().unmap(address_of(memory), kFrameBytes));
  if (!told) GTEST_SKIP() << "no /proc/self/numa_maps here";
  uint64_t bytes = 0;
  for (const uint64_t row : range[0].resident_bytes) bytes += row;
  EXPECT_GE(bytes, kFrameBytes / 2);
}

}  // namespace
}  // namespace elasticpool
