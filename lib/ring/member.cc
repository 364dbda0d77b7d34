// Taking places in the registry.
#include "ring/member.h"

#include <ctime>

namespace elasticpool {
namespace {

uint64_t read_clock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void fill_in(MemberRecord& record, const ProcessIdentity& self, const MemberName& name) {
  record.start_time.store_relaxed(self.start_time);
  record.pid_namespace.store_relaxed(self.pid_namespace);
  record.group.store_relaxed(name.group);
  record.group_generation.store_relaxed(name.group_generation);
  record.intent.words[0].store_relaxed(0);
  record.helping.store_relaxed(0);
  record.sweeping.store_relaxed(0);
  record.emptying.store_relaxed(0);
  record.leave_wanted.store_relaxed(0);
  record.dropping.store_relaxed(0);
  record.settled.store_relaxed(0);
}

void start(Region& region, uint32_t place, uint64_t joining, Member* member) {
  member->region = &region;
  member->record = &region.member(place);
  member->live_word = with_state(joining, MemberState::kLive);
  member->tag = tag_at(place, joining);
  member->renew_at_ns = 0;
  member->renew(ring_now_ns());
}

bool has_name(const MemberRecord& record, const MemberName& name) {
  return record.group.load_relaxed() == name.group &&
         record.group_generation.load_relaxed() == name.group_generation &&
         record.name.get() == name.name;
}

// Who is free or dormant died, perhaps in the middle of something: he does not go on with it.
bool may_go_on(const MemberRecord& record) {
  const MemberState state = member_state(record.state.load_ordered());
  return state != MemberState::kFree && state != MemberState::kDormant;
}

// In the first place that is free.
ep_ring_error take_free_place(Region& region, uint32_t first, uint32_t end, const MemberName& name,
                              Member* member) {
  const ProcessIdentity self = own_identity();
  for (uint32_t place = first; place < end; ++place) {
    MemberRecord& record = region.member(place);
    const uint64_t word = record.state.load_acquire();
    if (member_state(word) != MemberState::kFree) continue;
    const uint64_t joining =
        member_word(MemberState::kJoining, member_generation(word) + 1, self.process);
    if (!record.state.change(word, joining)) continue;
    if (!is_let_be(region, place)) {
      record.state.change(joining, with_state(joining, MemberState::kFree));
      continue;
    }
    fill_in(record, self, name);
    record.name.set(name.name);
    record.checkpoint.store_relaxed(kNoCheckpoint);
    record.messages.store_relaxed(0);
    record.acknowledged.store_relaxed(0);
    record.redelivered.store_relaxed(0);
    start(region, place, joining, member);
    return record.state.change(joining, member->live_word) ? EP_RING_OK : EP_RING_FENCED;
  }
  return EP_RING_BUSY;
}

}  // namespace

bool is_alone(const Member& member) {
  for (uint32_t place = 0; place < kMembersMax; ++place) {
    if (place == place_of(member.tag)) continue;
    const uint64_t word = member.region->member(place).state.load_ordered();
    if (member_state(word) == MemberState::kLive) return false;
  }
  return true;
}

bool is_let_be(const Region& region, uint32_t place) {
  for (uint32_t other = 0; other < kMembersMax; ++other) {
    const MemberRecord& record = region.member(other);
    if (record.sweeping.load_ordered() == place + 1 && may_go_on(record)) return false;
  }
  return true;
}

bool is_being_dropped(const Region& region, uint64_t sequence) {
  for (uint32_t other = kConsumersMax; other < kMembersMax; ++other) {
    const MemberRecord& record = region.member(other);
    if (record.dropping.load_ordered() == sequence && may_go_on(record)) return true;
  }
  return false;
}

uint64_t ring_now_ns() { return read_clock(CLOCK_MONOTONIC); }
uint64_t ring_now_coarse_ns() { return read_clock(CLOCK_MONOTONIC_COARSE); }

ep_ring_error join(Region& region, uint32_t first, uint32_t end, const MemberName& name,
                   Member* member) {
  const ep_ring_error error = take_free_place(region, first, end, name, member);
  if (error != EP_RING_BUSY || first >= kConsumersMax) return error;
  // Who removed a group may have died before he freed those.
  free_orphans(region);
  return take_free_place(region, first, end, name, member);
}

ep_ring_error rejoin(Region& region, const MemberName& name, Member* member) {
  const ProcessIdentity self = own_identity();
  for (uint32_t place = 0; place < kConsumersMax; ++place) {
    MemberRecord& record = region.member(place);
    const uint64_t word = record.state.load_acquire();
    if (member_state(word) == MemberState::kFree || !has_name(record, name)) continue;
    if (member_state(word) != MemberState::kDormant) return EP_RING_EXISTS;
    const uint64_t joining =
        member_word(MemberState::kRejoining, member_generation(word) + 1, self.process);
    if (!record.state.change(word, joining)) return EP_RING_EXISTS;
    if (!is_let_be(region, place)) {
      record.state.change(joining, with_state(joining, MemberState::kDormant));
      return EP_RING_BUSY;
    }
    fill_in(record, self, name);
    start(region, place, joining, member);
    return record.state.change(joining, member->live_word) ? EP_RING_OK : EP_RING_FENCED;
  }
  return EP_RING_MISSING;
}

void free_orphans(Region& region) {
  for (uint32_t place = 0; place < kConsumersMax; ++place) {
    MemberRecord& record = region.member(place);
    const uint64_t word = record.state.load_acquire();
    if (member_state(word) != MemberState::kDormant) continue;
    const uint32_t index = record.group.load_relaxed();
    const uint32_t generation = record.group_generation.load_relaxed();
    if (index < kGroupsMax && is_same_group(region.group(index).state.load_ordered(),
                                            group_word(GroupState::kActive, generation))) {
      continue;
    }
    record.state.change(word, with_state(word, MemberState::kFree));
  }
}

bool is_member_gone(const Region& region, uint32_t place, uint64_t state_word) {
  const MemberRecord& record = region.member(place);
  ProcessIdentity identity;
  identity.process = member_process(state_word);
  // While it joins, these are still those of whoever had the place before.
  if (member_state(state_word) != MemberState::kJoining &&
      member_state(state_word) != MemberState::kRejoining) {
    identity.start_time = record.start_time.load_relaxed();
    identity.pid_namespace = record.pid_namespace.load_relaxed();
  }
  return is_gone(identity);
}

}  // namespace elasticpool
