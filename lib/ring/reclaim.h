// Taking messages that all have passed out of their slots, and freeing blocks.
//
// Who may call   every handle: publishers as they go, consumers that have long had nothing to do.
// Threads        one at a time for a Reclaimer.
// A message goes when every group has passed it (acknowledged and no checkpoint needs it, dropped,
//                or older than the group's start). Its block goes when moreover nobody holds it.
// Order          slot word; header line; have groups come; have they passed; block; what we are
//                about to do, in our own record; slot to empty; block free, or detached where it is
//                held. He who empties the slot frees the block; each of the two is one change that
//                expects what was there, so that several at the same do no harm.
// Groups come    who creates one changes the words of all slots after he has said so (groups.cc):
//                who looked before that is refused, and who looks after it sees the group.
// Who dies       between the two leaves a block attached to a sequence whose slot has gone on, and
//                its name in his record: a sweep frees it.
// Helped slots   a slot whose header line somebody may still be writing gets a spare line.
#pragma once

#include "ring/member.h"
#include "ring/pool.h"

namespace elasticpool {

// Whether somebody may still be writing the header of a message, or of an earlier one in its slot.
enum class LineWriters { kOfThis, kOfEarlier };
bool is_line_written(const Region& region, uint64_t sequence, LineWriters which);

class Reclaimer {
 public:
  Reclaimer(Member& member, Pool& pool, bool keeps_blocks)
      : member_(member), region_(*member.region), pool_(pool), keeps_blocks_(keeps_blocks) {}

  // Takes out up to `most` messages from the head on, before `end`; how many. `even_unseen`: also
  // where no group is there to see them.
  uint64_t pass(uint64_t most, bool even_unseen, uint64_t end = UINT64_MAX);
  // The same in a stream, unless somebody else is at it. False: somebody is.
  bool pass_in_turn(uint64_t most, bool insist);
  // The oldest sequence that lies in a slot, or the next to come.
  uint64_t head() const;

  // A block attached by us to a sequence that is in no slot: frees it, or leaves it to who holds
  // it.
  void finish_block(uint32_t block, const BlockPlace& place, uint64_t sequence);
  // A holder is gone: frees the block if it was the last of a detached one.
  void free_if_unheld(uint32_t block, const BlockPlace& place);

  // Whether a group has passed a sequence that lies in a slot.
  bool has_passed(uint32_t group_index, uint64_t sequence) const;

  // What nobody is busy with before `sequence` is not needed by any group or checkpoint.
  void cleanup_before(uint64_t sequence);

  void wake_publishers();

  enum class Outcome { kTaken, kAlreadyGone, kStop };
  // The last step with a slot: its word says `slot_word`, and all have passed its message.
  Outcome empty(uint64_t sequence, uint64_t slot_word);

 private:
  void look_at_groups();
  bool have_passed(uint64_t sequence, bool even_unseen) const;
  Outcome pass_one(uint64_t sequence, bool even_unseen);
  Outcome take_out(uint64_t sequence, uint64_t slot_word, bool even_unseen);
  // A message on its way out.
  struct Leaving {
    uint64_t block_word = 0;  // 0: what the line names is no block of this message
    uint32_t block = 0;
    BlockPlace place;
  };
  void find_block(uint64_t sequence, Leaving* leaving) const;
  bool prepare_line(uint64_t sequence, uint64_t* word);
  bool change_line(uint64_t sequence, uint32_t mapped, bool is_helped);
  bool exchange_line(uint64_t sequence, uint32_t mapped);
  Outcome without_line(uint64_t sequence, uint64_t slot_word);
  bool is_checkpointed(uint64_t delivery, uint64_t sequence) const;

  Member& member_;
  Region& region_;
  Pool& pool_;
  const bool keeps_blocks_;
  // The groups that there were at an epoch.
  uint64_t groups_epoch_ = UINT64_MAX;
  uint32_t groups_ = 0;  // bit i: group i was not free
};

}  // namespace elasticpool
