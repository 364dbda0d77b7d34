// NUMA nodes, through libnuma where the host has more than one of them.
//
// Node numbers  a NodeId is a row of tables here, not the kernel's number. What is allocated before
//               numa_start() is on row 0, wherever the process runs: so row 0 is the node that it
//               booted on, and that node's row is node 0's. kernel_node_of() knows.
// Who may call  numa_boot(), numa_start(): heap/, once each, the latter when constructors run (it
//               loads a library, which allocates). The rest: any thread.
// Single node   libnuma is never loaded, nothing is ever bound, every CPU is on node 0.
// Whose word    where the process was started with a memory policy (numactl), that one holds: ours
//               would override it, and we would put memory on nodes that somebody has ruled out.
// Errors        no libnuma, no /sys, policies forbidden (a container's default), or another's
//               policy: one node. A node that takes no pages (none there, or outside of the cpuset)
//               leaves the place to the kernel, which takes the nearest that does.
// Cost          numa_place, numa_spread: a test of a flag, and a system call where they act.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/units.h"

namespace elasticpool {

enum class NumaPlacement : uint8_t {
  kLocal,       // where its owner is
  kInterleave,  // over all nodes, page by page
};

// At the first request: remembers where that is.
void numa_boot();

// True: there are several nodes, libnuma is loaded and memory is placed from now on.
bool numa_start(NumaPlacement placement);

// The node of a CPU; 0 before numa_start() said true.
NodeId numa_node_of(CpuId cpu);

// The kernel's number of a node, and the node of such a number: its own inverse. Other numbers than
// those of rows stay as they are.
size_t kernel_node_of(size_t node);

// For a frame's range, mapped and not touched yet; again whenever it has been mapped or decommitted
// anew: kLocal prefers pages of `node`, kInterleave spreads them.
void numa_place(uintptr_t address, size_t bytes, NodeId node);

// The same for an extent's. kLocal leaves it to the first touch, which is that of who asked.
void numa_spread(uintptr_t address, size_t bytes);

// kLocal: most pages of the range lie on other nodes than the caller runs on, though its own takes
// pages. A sample of them, one system call; false where the kernel does not say.
bool numa_lies_elsewhere(uintptr_t address, size_t bytes);

// Nodes in use, those that are missing in between included; 1 before numa_start() said true.
size_t numa_nodes();
// Frames belong to a node each: kLocal, after numa_start() said true.
bool numa_is_local();

// Rows in use of a table with one a node: fork, which takes each row's locks, is on somebody's way.
inline size_t node_rows() {
  const size_t nodes = numa_nodes();
  return nodes < kNodesMax ? nodes : kNodesMax;
}

}  // namespace elasticpool
