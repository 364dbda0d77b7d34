// Each CPU's current slabs, and the node's slabs behind them.
//
// CPUs         only those that a thread has run on have a cache: so there are no more of them than
//              in the affinity mask, whatever their numbers. And no more than a quota lets run at
//              once: under one of 2 CPUs on a host of 64, threads come to run on all 64, and would
//              leave a current slab of each class on every one. CPUs share a cache then, on each
//              node for itself. A process without threads has one.
// What it is   a CPU has at most one current slab a class. It is filled from the node's bin: a
//              partial slab that it has had before, if that is among the first of its list, else
//              any, the fullest first, else one whose pages went back, else a new one; the last two
//              for the first block of a batch only. When its last block is taken it goes to the bin
//              as full; when blocks come home there it is partial again; when all are home its
//              memory goes back to the slab layer.
// Coming home  blocks are put back in batches, each into its own slab under the lock of whoever is
//              that slab's home, wherever it was freed: so a slab has one truth, and memory freed
//              on another CPU is found by its owner.
// Threads      any. A thread that is moved to another CPU between reading its number and taking the
//              lock works on its old CPU's slabs: slower, never wrong.
// Locks        a CPU's (rank kCpu), a bin's (rank kNode). slab->home changes only while the lock of
//              the old home is held, and of the new one.
// Cost         one lock for a batch that comes from, or goes to, one home; for each other current
//              slab the bin's as well, while up to 16 slabs are looked at.
// Errors       fewer blocks than wanted, 0 when the system refuses.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/units.h"
#include "slab/size_classes.h"

namespace elasticpool {

// Takes up to `wanted` blocks of the class, in rising address order within a slab.
size_t take_blocks(ClassId id, void** blocks, size_t wanted);
// Puts blocks of one class back.
void put_blocks(ClassId id, void* const* blocks, size_t count);

struct SlabStats {
  uint64_t slabs = 0;  // now
  uint64_t slabs_peak = 0;
  uint64_t blocks_out = 0;  // in magazines or with the program
  uint64_t created = 0;
  uint64_t destroyed = 0;
  // Pages of partial slabs, so far. At most: a page that was never touched counts too.
  uint64_t returned_bytes = 0;
};
struct SlabTable {
  SlabStats classes[kClasses];
};
// Exact while nobody else runs. The CPUs and the bins are read one after the other, so a slab that
// changes hands meanwhile is counted twice or not at all; but blocks_out is at most what the slabs
// have.
// Cost  each CPU's lock once, each bin's once, for as long as its partial slabs take to count.
void slab_stats(SlabTable* table);
// The same of the slabs of one node (node modulo kNodesMax), whoever has their blocks.
void slab_node_stats(NodeId node, SlabTable* table);

// Gives every empty current slab back to the slab layer, and to the system the pages of others on
// which only free blocks lie, and those of free quarters (slab/quarters.h); the bytes that went to
// the system, at most (see returned_bytes).
size_t release_slabs();

// The same only for slabs that did not change since the call before, which marks those that did.
// Cost  each lock for as long as it takes to look at its slabs and to purge kPurgesAtOnce of them;
//       a bin that has more is visited again.
size_t release_settled_slabs();

// Which node a CPU belongs to: 0 unless the host has more than one (heap/ sets it after boot).
void set_node_of_cpu(NodeId (*node_of_cpu)(CpuId));
NodeId current_node();

// The CPUs choose their caches anew, at most so many different ones a node (at first one); all
// current slabs go to their bins.
void choose_cpu_caches(size_t a_node);
// Caches that CPUs have chosen since.
size_t cpu_caches();

void percpu_lock_for_fork();
void percpu_unlock_after_fork(bool in_child);

}  // namespace elasticpool
