// What makes a file region survive a power cut: the durable record, and recovery from it.
//
// Threads    any; records are written under the region's durable lock.
// Writing    a checkpoint is stored in two steps: everything the ring holds is written to the file,
//            then a record that says so, with all consumers' checkpoints. Only after that may
//            messages go that the checkpoint before still needed. Records alternate between two
//            places, so one is whole at any moment.
// Recovery   at the first attach after a start of the machine: of the newest whole record, every
//            message from its oldest checkpoint to its tail must be there whole, header and
//            payload; blocks, slots and deliveries are built anew from them. Else the region is
//            refused.
// Cost       msync of what is dirty: 0.2 ms and more.
// Errors     SYSTEM when writing; CORRUPT when recovering.
#pragma once

#include "ring/member.h"

namespace elasticpool {

// Of a region that has just been laid out: an empty ring.
ep_ring_error write_first_record(Region& region);

// With `checkpoint` as that of `record`, whose own is still the one before.
ep_ring_error write_durable_record(Member& me, const MemberRecord& record, uint64_t checkpoint);

// Brings a region of a former run of the machine in order; nobody else is attached.
ep_ring_error recover_after_power_cut(Region& region);

}  // namespace elasticpool
