// os/numa.h before it is started, which is all that a host of one node ever sees.
#include "os/numa.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/bits.h"
#include "os/vm.h"

namespace elasticpool {
namespace {

TEST(Numa, OneNodeUntilStarted) {
  EXPECT_EQ(numa_nodes(), 1U);
  for (uint32_t cpu = 0; cpu < 10000; ++cpu) ASSERT_EQ(index_of(numa_node_of(CpuId{cpu})), 0U);
}

TEST(Numa, PlacingKeepsTheMapping) {
  void* memory = vm().map_anywhere(kFrameBytes);
  ASSERT_NE(memory, nullptr);
  numa_place(address_of(memory), kFrameBytes, NodeId{0});
  memset(memory, 1, kFrameBytes);
  EXPECT_TRUE(vm().unmap(address_of(memory), kFrameBytes));
}

TEST(Numa, StartFindsNodesOrOne) {
  const bool several = numa_start(NumaPlacement::kLocal);
  EXPECT_EQ(several, numa_nodes() > 1);
  for (uint32_t cpu = 0; cpu < 10000; ++cpu) {
    ASSERT_LT(index_of(numa_node_of(CpuId{cpu})), kNodesMax);
  }
}

}  // namespace
}  // namespace elasticpool
