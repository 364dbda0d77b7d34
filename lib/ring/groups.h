// Groups of consumers: found by name, created, removed; who of their members a message is for.
//
// Threads     any. Creation is by one change of the group's state word.
// Invariants  while a group joins nothing is taken out of the ring, so what it starts from is
//             there. Each delivery word of a new group is void with its generation, before it is
//             active.
// Sharing     messages without a key: blocks of 16 sequences by turns among the members, and
//             whoever is idle takes what waits. With a key: a hash puts it into one of 1024 lanes,
//             and each lane is one member's; lanes are dealt out evenly, to within one.
// Cost        is by a scan over 16 records; membership one load.
#pragma once

#include <bit>

#include "ring/member.h"

namespace elasticpool {

// Who of a group is there: bit i for the consumer at place i.
class Membership {
 public:
  explicit Membership(uint64_t members)
      : members_(members), count_(static_cast<uint32_t>(std::popcount(members))) {}
  uint32_t count() const { return count_; }
  // How many members have lower places.
  uint32_t rank_of(uint32_t place) const {
    return static_cast<uint32_t>(std::popcount(members_ & ((uint64_t{1} << place) - 1)));
  }
  // The place of the member with this rank, which is below count().
  uint32_t place_of_rank(uint32_t rank) const {
    uint64_t left = members_;
    while (rank-- != 0) left &= left - 1;
    return static_cast<uint32_t>(std::countr_zero(left));
  }
  // The rank that a message is for; count() > 0.
  uint32_t rank_for(uint64_t sequence, uint64_t key) const {
    const uint32_t members = count();
    if (members <= 1) return 0;
    return key == 0 ? static_cast<uint32_t>(sequence / kTurn % members)
                    : lane_of(key) * members / kLanes;
  }
  static constexpr uint64_t kTurn = 16;
  static constexpr uint32_t kLanes = 1024;
  static constexpr uint32_t lane_of(uint64_t key) {
    return static_cast<uint32_t>(mix(key) % kLanes);
  }

  // The finalizer of MurmurHash3 (Appleby): neighbouring keys go to different members.
  static constexpr uint64_t mix(uint64_t key) {
    key ^= key >> 33;
    key *= 0xFF51AFD7ED558CCD;
    key ^= key >> 33;
    key *= 0xC4CEB9FE1A85EC53;
    return key ^ key >> 33;
  }

 private:
  uint64_t members_;
  uint32_t count_;
};

// The active group of that name; kGroupsMax: there is none. `word`: the group's, from before its
// name was read.
uint32_t find_group(const Region& region, const NameText& name, uint64_t* word = nullptr);
// Errors  EXISTS BUSY NO_SPACE SYSTEM. On EXISTS *index is that group.
ep_ring_error create_group(Member& creator, const NameText& name,
                           const ep_ring_group_options& options, uint32_t* index);
// The member takes part in the group that had this word, and its consumers look at everything
// again. False: it was removed meanwhile.
bool enter_group(const Member& member, uint32_t index, uint64_t word);
// Errors  MISSING BUSY.
ep_ring_error remove_group(Region& region, const NameText& name);
// Its consumers look at everything again, those that sleep too.
void stir_group(Region& region, uint32_t index);
// Wakes up to `most` sleepers of the group, those first who a message is for.
void wake_consumers(Region& region, uint32_t index, uint64_t sequence, uint64_t key, uint64_t most);

}  // namespace elasticpool
