// A consumer becomes a member of its group, which is made where there is none.
//
// Who may call   ep_ring_consumer_open().
// Threads        any; other processes may remove the group meanwhile, and make another in its
//                record. Who has joined is in an active group of that name.
// Order          the group's word, its name; a place in the registry; the member's bit; the group's
//                word, changed from what it was. Who removes the group reads its word, then the
//                bits, and changes the word from what it was: so one of the two is refused.
// Errors         BUSY: no place, or the group was removed again and again; EXISTS: a live consumer
//                has that name; NO_SPACE SYSTEM: of a new group's tables.
#pragma once

#include "include/elasticpool/ring.h"
#include "ring/member.h"

namespace elasticpool {

ep_ring_error join_group(Region& region, const ep_ring_consumer_options& options, Member* member,
                         uint32_t* group);

}  // namespace elasticpool
