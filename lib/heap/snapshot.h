// What the heap holds and has done, as numbers.
//
// Threads    any. Magazines, slabs, frames and extents are read one after the other, each under its
//            own locks. Exact while nobody else allocates (at exit). Else the numbers are of
//            different moments: what moved between two readings is missing or counted twice, and a
//            magazine whose owner is using it is a guess between empty and full.
// Invariant  for each class blocks out of slabs = live + cached in magazines + lost, and missed <=
//            requests, whatever others do: a number that does not fit is cut.
// Fork       in the child, what its parent's other threads had cached is lost: nobody can use it,
//            and it is not live. Where such a thread was allocating or freeing during the fork,
//            lost and live blocks and requests are estimates: see magazine/thread_cache.h.
// Exactness  requests and live blocks are counted exactly. Bytes are those of the blocks handed
//            out: what the program asked for within a block's class is not recorded.
// Cost       the lock of the thread list once, that of each CPU's cache once, that of each class's
//            bin once a node, some 20 more. With several nodes the CPUs' and the bins' again, and
//            os/numa_pages.h. Nothing is allocated; about 10 KiB of stack.
#pragma once

#include <cstddef>
#include <cstdint>

#include "magazine/thread_cache.h"
#include "percpu/cpu_cache.h"
#include "slab/size_classes.h"

namespace elasticpool {

struct ClassSnapshot {
  uint64_t requests;
  uint64_t missed;  // requests that found the magazine empty
  uint64_t refills;
  uint64_t flushes;
  uint64_t cached_blocks;
  uint64_t lost_blocks;  // in forks
  uint64_t live_blocks;
  uint64_t slabs;
  uint64_t slabs_peak;
  uint64_t slabs_created;

  bool is_used() const { return requests != 0 || slabs_created != 0; }
  // Batches taken and put back: what the tuner counts time in.
  uint64_t events() const { return refills + flushes; }
};

struct TierSnapshot {
  uint64_t requests;
  uint64_t live_blocks;
  uint64_t live_bytes;
  uint64_t free_resident_bytes;  // free, at most: a page that was never touched counts too
  uint64_t mapped_bytes;
  uint64_t returned_bytes;  // given back so far, at most: as above
};

// What is ours of one node, the kernel's numbers, or of all that are the same modulo kNodesMax.
//   By our books, exact as the rest: where frames belong to a node each (MEMPOOL_NUMA=local). A
//   frame is on the books of the node that it was asked from. Where the kernel has put its pages is
//   another matter: the node may have been full, or out of bounds.
//   By the kernel: pages of mappings, whatever is used of them. Extents are on nobody's books.
struct NodeSnapshot {
  uint64_t frames;
  uint64_t slab_bytes;           // space of the slabs, which lie in frames
  uint64_t slab_out_bytes;       // blocks of them with the program or in magazines, anybody's
  uint64_t buddy_live_bytes;     // likewise in frames, with the program or at hand of a thread
  uint64_t free_resident_bytes;  // of frames, at most: as in TierSnapshot
  uint64_t frames_resident_bytes;
  uint64_t large_resident_bytes;
};

struct HeapSnapshot {
  ClassSnapshot classes[kClasses];
  // Live blocks of all classes; mapped_bytes is the space of their slabs, which lie in frames.
  TierSnapshot slab;
  SlabPeak slab_peak;
  // What is mapped, free and returned is of all frames, those with slabs included.
  TierSnapshot buddy;
  TierSnapshot large;
  uint64_t cached_blocks;
  uint64_t cached_bytes;
  // Buddy blocks that threads have at hand, and those lost in forks. Neither is live.
  uint64_t held_runs;
  uint64_t held_run_bytes;
  uint64_t lost_runs;
  uint64_t lost_run_bytes;
  uint64_t lost_blocks;  // of classes and runs
  uint64_t lost_bytes;
  uint64_t lost_threads;       // whose caches those were
  uint64_t magazine_requests;  // to slab classes
  uint64_t magazine_missed;
  uint64_t magazine_events;          // batches taken and put back
  uint64_t magazine_capacity_bytes;  // what magazines have room for, and its bound but for floors
  uint64_t magazine_bound_bytes;
  uint64_t frames;          // 2 MiB each, mapped
  uint64_t huge_frames;     // of those, asked to be huge pages
  uint64_t hugetlb_frames;  // of those, on pages of the hugetlb pool
  uint64_t large_peak_live_bytes;
  uint64_t large_free_clean_bytes;  // free and mapped, without pages
  uint64_t large_hole_bytes;        // addresses without memory
  uint64_t large_lost_bytes;        // addresses that somebody else has mapped
  uint64_t large_reused;
  uint64_t large_remaps;
  uint64_t large_copies;
  uint64_t own_bytes;    // our records and tables, mapped
  uint64_t threads;      // with a cache of their own
  uint64_t usable_cpus;  // os/cpu_count.h; 0 where none can say
  uint64_t cpu_caches;
  uint64_t numa_nodes;  // rows beyond one are filled in only where there are several
  NodeSnapshot nodes[kNodesMax];
  bool nodes_have_books;     // frames belong to a node each
  bool nodes_have_resident;  // the kernel said where pages lie
  uint64_t foreign_frees;

  uint64_t node_rows() const { return numa_nodes < kNodesMax ? numa_nodes : kNodesMax; }

  uint64_t requests() const { return magazine_requests + buddy.requests + large.requests; }
  uint64_t live_blocks() const { return slab.live_blocks + buddy.live_blocks + large.live_blocks; }
  // With threads: in magazines and slots.
  uint64_t all_cached_blocks() const { return cached_blocks + held_runs; }
  uint64_t all_cached_bytes() const { return cached_bytes + held_run_bytes; }
  uint64_t live_bytes() const { return slab.live_bytes + buddy.live_bytes + large.live_bytes; }
  uint64_t mapped_bytes() const { return buddy.mapped_bytes + large.mapped_bytes + own_bytes; }
  // At most, as its parts.
  uint64_t returned_bytes() const {
    return slab.returned_bytes + buddy.returned_bytes + large.returned_bytes;
  }
};

void take_snapshot(HeapSnapshot* snapshot);
// Fills in the nodes of a snapshot, where there are several. Reads a file that makes the kernel
// walk the page tables: for reports, not for mallinfo().
void take_nodes(HeapSnapshot* snapshot);

}  // namespace elasticpool
