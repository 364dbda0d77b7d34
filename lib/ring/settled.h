// From where the consumers of a group look, when they look at everything again.
//
// Who may call   a Deliverer, one at a time; the functions over records, any.
// Settled        every message before it is acknowledged, dropped, or without a key and with
//                somebody: one consumer has seen that of each, and has nothing in work before it
//                that others of its lane would have to wait for.
// Why one is     that stays so: what is with somebody comes up again by a return (released,
// enough         recovered, left behind by the dead) and in no other way. Each return is counted in
//                the group's record, behind the change of the delivery words and before the epoch
//                that sends all to look again; and a settled sequence holds only for the count of
//                which it says that it does. So any that holds is good for everybody, who joins
//                among them.
// Places         of members that left are taken by others, of another group perhaps, but not before
//                the epoch says so. Who has read what members say looks at the epoch once more.
// Death          between a return and its count: the sweep of who died counts, whatever it found.
// Not settled    everything, behind a return: all look from the head on.
// Damage         a sequence that is not in the ring is not believed. Who began at a head that was
//                wrong begins anew when that is put right (restore_ring_hints).
// Cost           a comparison a call; of looking again, two lines for each consumer.
#pragma once

#include "ring/groups.h"

namespace elasticpool {

// Messages of the group came up again: their words are changed, its epoch is not yet.
inline void count_return(GroupRecord& group) { group.returns.add_ordered(1); }

class Settled {
 public:
  Settled(const Region& region, const GroupRecord& group, MemberRecord& record)
      : region_(region), group_(group), record_(record) {}

  void claimed(uint64_t sequence) {
    ++in_work_;
    if (sequence < mark_) ++in_work_before_mark_;
  }
  void given_up(uint64_t sequence) {
    --in_work_;
    if (sequence < mark_) --in_work_before_mark_;
  }
  // It has looked at everything before `scan`, need not look again at what is before `skipped`, and
  // all that it ever claimed is before `claimed_end`: beyond the scan where it looks again.
  EP_ALWAYS_INLINE void tell(uint64_t scan, uint64_t skipped, uint64_t claimed_end) {
    if (EP_UNLIKELY(scan >= mark_ + kStride) && in_work_before_mark_ == 0 && scan >= claimed_end) {
      advance(scan, skipped);
    }
  }
  // From where it has to look again, `from` or later; `skipped`: as above; `members`: the group's
  // behind that epoch.
  uint64_t look_again_from(uint64_t from, uint64_t skipped, uint64_t members, uint32_t epoch);

 private:
  static constexpr uint64_t kStride = 64;

  void advance(uint64_t scan, uint64_t skipped);

  const Region& region_;
  const GroupRecord& group_;
  MemberRecord& record_;
  uint64_t returns_ = UINT64_MAX;  // the group's count when it looked at everything last
  uint64_t mark_ = 0;              // the next to be told, once nothing before it is in work
  uint64_t in_work_ = 0;
  uint64_t in_work_before_mark_ = 0;
};

}  // namespace elasticpool
