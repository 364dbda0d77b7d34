// Creating and removing groups, and waking their consumers.
#include "ring/groups.h"

#include "ring/futex.h"
#include "ring/region_lock.h"

namespace elasticpool {
namespace {

// Words of this group's former life, which somebody who was stopped could still expect, are gone.
void clear_deliveries(Region& region, uint32_t index, uint32_t generation) {
  const uint64_t empty = delivery_word(DeliveryState::kVoid, Tag{generation & kTagMask}, 0, 0);
  for (uint64_t slot = 0; slot < region.geometry().slots; ++slot) {
    region.delivery(index, slot).store_relaxed(empty);
  }
}

uint64_t start_of(const Region& region, const ep_ring_group_options& options) {
  switch (options.start) {
    case EP_RING_NEWEST:
      return region.header().tail.load_ordered();
    case EP_RING_SEQUENCE:
      return options.sequence;
    case EP_RING_OLDEST:
      break;
  }
  return region.header().head.load_ordered();
}

// Whoever looked at the groups before this one came and is about to empty a slot expects its word:
// it is another from now on. (A creator's tag is never used for two groups.)
void confirm_slots(const Member& creator) {
  constexpr unsigned kTries = 8;
  const Region& region = *creator.region;
  // order[ring-join]: the new epoch before the slots are looked at; a reclaimer looks at a slot's
  // word and line before the epoch
  full_fence();
  for (uint64_t slot = 0; slot < region.geometry().slots; ++slot) {
    for (unsigned i = 0; i < kTries; ++i) {
      const uint64_t word = region.slot_word(slot).load_ordered();
      const uint64_t sequence = region.line(slot).words[0].load_ordered();
      // Not published yet: who takes it out looks at its line first, hence later than this.
      if (slot_state(word) == SlotState::kEmpty || region.slot_of(sequence) != slot ||
          region.lap_of(sequence) != slot_lap(word)) {
        break;
      }
      const SlotState state =
          slot_state(word) == SlotState::kHelped ? SlotState::kHelped : SlotState::kPublished;
      if (region.slot_word(slot).change(word, slot_word(state, creator.tag, slot_lap(word)))) break;
    }
  }
}

// False: the creator was fenced meanwhile, and the group is given up.
bool settle(const Member& creator, uint32_t index, uint64_t joining,
            const ep_ring_group_options& options) {
  Region& region = *creator.region;
  GroupRecord& group = region.group(index);
  group.policy.store_relaxed(options.policy);
  group.members.store_relaxed(0);
  group.sleepers.store_relaxed(0);
  group.dropped.store_relaxed(0);
  group.redeliveries.store_relaxed(0);
  group.taken_away.store_relaxed(0);
  group.returns.store_relaxed(0);
  clear_deliveries(region, index, group_generation(joining));
  confirm_slots(creator);
  group.start_sequence.store_relaxed(start_of(region, options));
  return group.state.change(joining, group_word(GroupState::kActive, group_generation(joining)));
}

}  // namespace

uint32_t find_group(const Region& region, const NameText& name, uint64_t* word) {
  for (uint32_t i = 0; i < kGroupsMax; ++i) {
    const GroupRecord& group = region.group(i);
    const uint64_t found = group.state.load_acquire();
    if (group_state(found) != GroupState::kActive || !(group.name.get() == name)) continue;
    if (word != nullptr) *word = found;
    return i;
  }
  return kGroupsMax;
}

bool enter_group(const Member& member, uint32_t index, uint64_t word) {
  GroupRecord& group = member.region->group(index);
  group.members.set_bits(holder_bit(member.tag));
  // Then the state's word: who removes the group reads it before he looks for members, and is
  // refused.
  for (uint32_t i = 0; i < kMembersMax; ++i) {
    const uint64_t now = group.state.load_ordered();
    if (!is_same_group(now, word)) break;
    if (!group.state.change(now, joined_word(now))) continue;
    stir_group(*member.region, index);
    return true;
  }
  group.members.clear_bits(holder_bit(member.tag));
  return false;
}

ep_ring_error create_group(Member& creator, const NameText& name,
                           const ep_ring_group_options& options, uint32_t* index) {
  Region& region = *creator.region;
  const RegionLock lock(creator, region.header().group_lock);
  if (!lock.is_held()) return EP_RING_FENCED;
  *index = find_group(region, name);
  if (*index != kGroupsMax) return EP_RING_EXISTS;
  for (uint32_t i = 0; i < kGroupsMax; ++i) {
    GroupRecord& group = region.group(i);
    const uint64_t word = group.state.load_acquire();
    if (group_state(word) != GroupState::kFree) continue;
    const uint64_t bytes = region.geometry().slots * sizeof(SharedU64);
    const ep_ring_error error = region.back_deliveries(i, bytes);
    if (error != EP_RING_OK) return error;
    const uint64_t joining = group_word(GroupState::kJoining, group_generation(word) + 1);
    // Before the state: who dies in between is found by it.
    group.creator.store_relaxed(static_cast<uint32_t>(creator.tag));
    if (!group.state.change(word, joining)) continue;
    group.name.set(name);
    region.header().groups_epoch.add_ordered(1);
    *index = i;
    return settle(creator, i, joining, options) ? EP_RING_OK : EP_RING_FENCED;
  }
  return EP_RING_BUSY;
}

ep_ring_error remove_group(Region& region, const NameText& name) {
  uint64_t word = 0;
  const uint32_t index = find_group(region, name, &word);
  if (index == kGroupsMax) return EP_RING_MISSING;
  GroupRecord& group = region.group(index);
  if (group.members.load_ordered() != 0) return EP_RING_BUSY;
  const uint64_t removed = group_word(GroupState::kFree, group_generation(word));
  if (!group.state.change(word, removed)) {
    // Somebody joined, or removed it.
    return is_same_group(group.state.load_ordered(), word) ? EP_RING_BUSY : EP_RING_MISSING;
  }
  free_orphans(region);
  return EP_RING_OK;
}

void stir_group(Region& region, uint32_t index) {
  GroupRecord& group = region.group(index);
  group.epoch.add_ordered(1);
  wake_consumers(region, index, 0, 0, kConsumersMax);
}

void wake_consumers(Region& region, uint32_t index, uint64_t sequence, uint64_t key,
                    uint64_t most) {
  GroupRecord& group = region.group(index);
  const Membership membership(group.members.load_relaxed());
  uint64_t sleepers = group.sleepers.load_ordered();
  if (membership.count() != 0) {
    const uint32_t first = membership.place_of_rank(membership.rank_for(sequence, key));
    // A message with a key is for that one only; of the others it is the first to be woken.
    if (key != 0 && most == 1) sleepers &= uint64_t{1} << first;
    sleepers = std::rotr(sleepers, static_cast<int>(first));
    for (uint64_t woken = 0; sleepers != 0 && woken < most; sleepers &= sleepers - 1) {
      const auto place = (static_cast<uint32_t>(std::countr_zero(sleepers)) + first) % 64;
      const uint64_t bit = uint64_t{1} << place;
      if (place >= kConsumersMax || (group.sleepers.clear_bits(bit) & bit) == 0) continue;
      SharedU32& wake = region.member(place).wake_count;
      wake.add(1);
      futex_wake(wake, 1);
      ++woken;
    }
  }
}

}  // namespace elasticpool
