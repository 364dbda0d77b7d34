// Publishing: a reserved block becomes the next message.
//
// Threads   one at a time.
// Steps     intent (the whole header, in the producer's own record) → block attached to sequence
//           t → slot t claimed: from here on the message exists, and whoever finds the slot can
//           finish it from the intent → header line written, its sequence last: consumers see it.
//           Producers compete for the claim, where who loses goes on with t + 1, and to raise the
//           tail, which once a batch tells the next ones where to begin.
// Cost      a locked instruction for the claim and one a batch for the tail, a fence a batch, 26
//           words written, a line of which consumers poll.
// Full      slot t still holds message t - slots: the policies of the groups that have not passed
//           it decide.
// Reclaim   who publishes also takes out what has passed: so blocks come back to who needs them. In
//           a stream as many as it published, 64 at least, when nobody else is at it; else a few
//           behind each fourth message, 64 messages late, while that is on its way and its answer
//           is awaited.
// Turns     batches claim one after the other, unless one takes long (turn.h).
// Waiting   for room: some microseconds at work, in which who else wants the processor gets it;
//           then asleep until a consumer has acknowledged what is worth it (deliver.cc), and 10 ms
//           at most.
#pragma once

#include "ring/handle.h"

namespace elasticpool {

class Deadline;
class Turn;

class Publisher {
 public:
  Publisher(Region& region, const Member& joined);

  ep_ring_error reserve(uint64_t bytes, int timeout_ms, ep_ring_buffer* buffer);
  ep_ring_error discard(const ep_ring_buffer& buffer) { return handle_.discard(buffer); }
  // What another handle of this process reserved is ours from now on.
  ep_ring_error adopt(const ep_ring_buffer& buffer, Handle& from);
  ep_ring_error publish(const ep_ring_buffer* buffers, size_t count, const ep_ring_label* labels,
                        int timeout_ms, size_t* published, uint64_t* last_sequence);
  void close() { handle_.leave(handle_.reserved == 0 ? Leftovers::kNone : Leftovers::kSome); }

 private:
  EP_ALWAYS_INLINE ep_ring_error prepare(const ep_ring_buffer& buffer, const ep_ring_label* label,
                                         MessageHeader* header, BlockPlace* place);
  EP_ALWAYS_INLINE ep_ring_error publish_one(HeaderWords& header, const BlockPlace& place);
  void catch_up();
  EP_ALWAYS_INLINE bool claim_slot(HeaderWords& header, const BlockPlace& place, uint32_t prefix);
  ep_ring_error unattach(const BlockPlace& place, ep_ring_error error);
  EP_ALWAYS_INLINE void write_line(const HeaderWords& header, SharedLine& line);
  ep_ring_error make_room(uint64_t held);
  bool drop(uint32_t group_index, uint64_t sequence);
  void drop_in_work(uint32_t group_index, uint64_t sequence, uint64_t word);
  bool may_go_on(uint64_t rooms, Deadline& deadline) const;
  void tell_consumers(uint64_t first, uint64_t count, uint64_t keys);
  void look_at_groups(uint64_t epoch);
  bool spin_for_room(bool even_unseen, Deadline& deadline);
  bool wait_for_room(Deadline& deadline);
  void take_out_some(uint64_t streamed);
  void take_turn(Turn& turn) const;
  void store_tail();

  Handle handle_;
  uint64_t cursor_;  // no slot before it is empty
  uint64_t published_ = 0;
  uint64_t owed_ = 0;  // messages of a stream that were published, and none taken out for them yet
  uint64_t published_at_ns_ = 0;
  uint64_t groups_epoch_ = UINT64_MAX;
  uint16_t group_count_ = 0;
  uint32_t groups_ = 0;  // bit i: group i was not free at that epoch
};

}  // namespace elasticpool
