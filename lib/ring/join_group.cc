// Joining, as often as the group is removed under our hands.
#include "ring/join_group.h"

#include "ring/groups.h"
#include "ring/visit.h"

namespace elasticpool {
namespace {

ep_ring_error take_place(Region& region, const MemberName& name, Member* member) {
  if (!(name.name == NameText{})) {
    const ep_ring_error error = rejoin(region, name, member);
    if (error != EP_RING_MISSING) return error;
  }
  return join(region, 0, kConsumersMax, name, member);
}

// With nothing that others could still need: the group is gone.
void give_place_back(Region& region, Member& member) {
  member.record->checkpoint.store_relaxed(kNoCheckpoint);
  Pool pool(region, member.tag, kNobody, 0);
  leave_region(member, pool, Leftovers::kNone);
}

}  // namespace

ep_ring_error join_group(Region& region, const ep_ring_consumer_options& options, Member* member,
                         uint32_t* group) {
  constexpr unsigned kTries = 64;
  const NameText group_name = name_text(options.group);
  MemberName name;
  name.name = name_text(options.name);
  for (unsigned i = 0; i < kTries; ++i) {
    uint64_t word = 0;
    *group = find_group(region, group_name, &word);
    if (*group == kGroupsMax) {
      const ep_ring_error error = with_place(region, [&](Member& creator, Pool&) {
        return create_group(creator, group_name, options.group_options, group);
      });
      if (error != EP_RING_OK && error != EP_RING_EXISTS) return error;
      continue;
    }
    name.group = *group;
    name.group_generation = group_generation(word);
    const ep_ring_error error = take_place(region, name, member);
    if (error != EP_RING_OK) return error;
    if (enter_group(*member, *group, word)) return EP_RING_OK;
    give_place_back(region, *member);
  }
  return EP_RING_BUSY;
}

}  // namespace elasticpool
