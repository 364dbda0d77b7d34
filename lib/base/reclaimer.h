// Who can give free memory back, so that a tier that grows can ask the others first.
//
// Rule      while a tier takes new memory from the system, as much free memory as it takes goes
//           back elsewhere: what is free in one tier is of no use to another, and the peak is what
//           counts. Not what a tier is busy with itself: it would take it anew the moment after.
// Threads   set_reclaimer(): once each, at boot. reclaim_from_others(): any, with no lock of ours
//           held but those of ranks kCpu and kNode; a reclaimer takes its own.
// Cost      a load each; what there is to give back costs a system call a piece.
#pragma once

#include <cstddef>
#include <cstdint>

namespace elasticpool {

enum class Reclaimer : uint8_t { kTinyFrames, kSmallFrames, kMediumFrames, kExtents };
inline constexpr size_t kReclaimers = 4;

// Gives back up to about `wanted_bytes` of free resident memory; the bytes returned.
using ReclaimFunction = size_t (*)(size_t wanted_bytes);

void set_reclaimer(Reclaimer who, ReclaimFunction function);

// Asks everybody but `self`, in order, until it is enough.
size_t reclaim_from_others(Reclaimer self, size_t wanted_bytes);

}  // namespace elasticpool
