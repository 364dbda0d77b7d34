// Runs of granules in the pool: what slabs and large blocks are made of.
//
// Threads     any; a Runs object by one at a time. Lock-free.
// Algorithm   the buddy system of buddy/frame_bits.h over words of 32 granules; where no aligned
//             place is left, and for more than 32 granules, the first run of free bits.
// Invariants  the granule words are the truth: a run's first granule says whose it is, the others
//             their distance to it. They are taken one by one, the first first, and given back the
//             first last: so whoever sweeps finds a half taken or half freed run by its first
//             granule. Free bits are hints: a bit may be set for a granule that is taken (the word
//             refuses) or missing for one that is free (Sweep sets it again).
// Cost        one change a granule; a scan over hints, 32 granules a word.
#pragma once

#include "ring/region.h"

namespace elasticpool {

class Runs {
 public:
  Runs(Region& region, Tag me) : region_(region), me_(me) {}

  // Granules that the pool has now, never more than the region holds.
  uint64_t granules() const;

  // The first granule's word says kBuilding by us; memory is behind it.
  // Errors  NO_MEMORY NO_SPACE SYSTEM.
  ep_ring_error allocate(uint64_t count, uint64_t* first);
  // The first granule's word says kFreeing by us.
  void free(uint64_t first, uint64_t count);
  // How many granules point to `first` as their run's, itself included: also of a half built or
  // half freed run.
  uint64_t length_of(uint64_t first) const;
  // More granules, if the region may have more.
  bool grow();

  // The first granule of the run that `granule` lies in, if it lies in one.
  bool find_first(uint64_t granule, uint64_t* first) const;

 private:
  bool claim(uint64_t first, uint64_t count, uint64_t* busy);
  ep_ring_error back(uint64_t first, uint64_t count);
  ep_ring_error claim_and_back(uint64_t first, uint64_t count, bool* claimed);
  ep_ring_error allocate_aligned(uint64_t count, uint64_t* first);
  ep_ring_error allocate_anywhere(uint64_t count, uint64_t* first);
  void set_hints(uint64_t first, uint64_t count, bool free);

  Region& region_;
  const Tag me_;
  uint64_t first_frame_ = 0;  // frames before it looked full
};

}  // namespace elasticpool
