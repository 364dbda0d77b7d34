// NUMA nodes, through libnuma where the host has more than one of them.
//
// Who may call  numa_start(): heap/, once, when constructors run (it loads a library, which
//               allocates). The rest: any thread.
// Single node   libnuma is never loaded, nothing is ever bound, every CPU is on node 0.
// Errors        no libnuma, no /sys: one node.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/units.h"

namespace elasticpool {

// True: there are several nodes and libnuma is loaded.
bool numa_start();

// The node of a CPU; 0 before numa_start() said true.
NodeId numa_node_of(CpuId cpu);

// Prefers pages of `node` for a range that is mapped and not touched yet; again whenever it has
// been mapped or decommitted anew. Without several nodes a test of a flag.
void numa_place(uintptr_t address, size_t bytes, NodeId node);

// Nodes in use; 1 before numa_start() said true.
size_t numa_nodes();

// Rows in use of a table with one a node: fork, which takes each row's locks, is on somebody's way.
inline size_t node_rows() {
  const size_t nodes = numa_nodes();
  return nodes < kNodesMax ? nodes : kNodesMax;
}

}  // namespace elasticpool
