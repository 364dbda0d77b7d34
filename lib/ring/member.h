// A place in the registry: one open handle of one process, and its lease.
//
// Threads     one at a time for a Member; the functions over records, any.
// Life        free → joining → live → fenced → free, or dormant where a named consumer died. Each
//             step is one change of the record's state word, which holds the process and a
//             generation.
// Invariants  the generation grows whenever a place is taken, so a tag names one opening for good.
//             A place whose process lives is not free before that process closes its handle: what
//             it may still be reading or writing stays its own, fenced or not.
// Lease       renewed by the handle's own calls when a quarter of it is over.
// Cost        is_live() one load of an own line.
#pragma once

#include <cstdint>

#include "ring/process_life.h"
#include "ring/region.h"

namespace elasticpool {

// CLOCK_MONOTONIC: exact, and to some milliseconds at a fraction of the cost.
uint64_t ring_now_ns();
uint64_t ring_now_coarse_ns();

struct Member {
  Region* region = nullptr;
  MemberRecord* record = nullptr;
  uint64_t live_word = 0;
  Tag tag = kNobody;
  uint64_t renew_at_ns = 0;

  bool is_live() const { return record->state.load_relaxed() == live_word; }
  uint64_t lease_ns() const { return uint64_t{region->config().lease_ms} * 1'000'000; }
  void renew(uint64_t now_ns) {
    if (now_ns < renew_at_ns) return;
    record->lease_until_ns.store_relaxed(now_ns + lease_ns());
    renew_at_ns = now_ns + lease_ns() / 4;
  }
};

// What a consumer adds to its place.
struct MemberName {
  NameText name;
  uint32_t group = 0;
  uint32_t group_generation = 0;
};

// Takes a free place in [first, end); it is live then. Errors  BUSY.
ep_ring_error join(Region& region, uint32_t first, uint32_t end, const MemberName& name,
                   Member* member);
// Takes the dormant place of that name up again, with its checkpoint. MISSING: there is none;
// EXISTS: a live consumer has the name.
ep_ring_error rejoin(Region& region, const MemberName& name, Member* member);

// No other handle is open.
bool is_alone(const Member& member);
// Nobody sweeps that place, or takes a message from who has it: not even somebody who was stopped
// in the middle of that.
bool is_let_be(const Region& region, uint32_t place);
// Somebody takes that message from a consumer.
bool is_being_dropped(const Region& region, uint64_t sequence);
// Consumers that are dormant in groups that are gone hold nothing any more: their places are free.
void free_orphans(Region& region);

// The tag that a place's word stands for now.
inline Tag tag_at(uint32_t place, uint64_t state_word) {
  return make_tag(place, member_generation(state_word));
}
// The handle of that tag is open and not fenced.
inline bool is_at_work(const Region& region, Tag tag) {
  if (place_of(tag) >= kMembersMax) return false;
  const uint64_t word = region.member(place_of(tag)).state.load_acquire();
  return member_state(word) == MemberState::kLive && member_generation(word) == generation_of(tag);
}
// The handle of that tag is open, fenced or not: its process may still do what it had begun.
inline bool is_open(const Region& region, Tag tag) {
  if (place_of(tag) >= kMembersMax) return false;
  const uint64_t word = region.member(place_of(tag)).state.load_ordered();
  return (member_state(word) == MemberState::kLive || member_state(word) == MemberState::kFenced) &&
         member_generation(word) == generation_of(tag);
}
// Whether the process behind a place is gone for certain.
bool is_member_gone(const Region& region, uint32_t place, uint64_t state_word);
inline bool is_member_gone_at(const Region& region, Tag tag) {
  return is_member_gone(region, place_of(tag), region.member(place_of(tag)).state.load_acquire());
}

}  // namespace elasticpool
