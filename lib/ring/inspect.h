// Looking into a region without taking part: figures, single messages, and a check of every word.
//
// Threads  any. Nothing is changed.
// Trust    what is seen may be half changed or scribbled over; nothing is followed unchecked.
// Cost     a look at every granule, slot and member.
#pragma once

#include "ring/region.h"

namespace elasticpool {

void read_stat(Region& region, ep_ring_stat* stat);
bool read_group(Region& region, uint32_t index, ep_ring_group_stat* stat);
bool read_member(Region& region, uint32_t index, ep_ring_member_stat* stat);
// Live by their words; who is dead and was not looked for yet counts.
bool has_live_members(const Region& region);
ep_ring_error peek(Region& region, uint64_t sequence, ep_ring_message* message);

using ReportLine = void (*)(void* context, const char* line);
// Of a region at rest; the number of faults.
unsigned check_region(Region& region, ReportLine report, void* context);

}  // namespace elasticpool
