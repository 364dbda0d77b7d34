// Delivery: a consumer takes messages of its group, and gives them up.
//
// Threads     one at a time.
// Claiming    one change of the group's delivery word for the slot, from what it said to kClaimed
//             by us: so a message is with one consumer of a group at a time, and its word says
//             with whom.
// Positions   are private. Whatever could make an earlier message come up again (members that come
//             or go, messages that are returned) raises the group's epoch, and then everybody
//             looks again: from the head on where messages were returned, else from where
//             somebody knows that everything is settled (settled.h).
// Order       of a key: a message is claimed only after every earlier one of its lane, a group of
//             keys, was seen acknowledged or is with us. A lane is one member's (groups.h), so
//             members do not wait for each other but when they come and go.
// Skipped     messages are those that are for another member. Who has nothing else to do takes
//             those without a key after a moment.
// Kept        (deliver_hold.cc) what its program holds, and what was dropped while it is in work,
//             bears our bit in the block's word of holders until we clear it.
// Cost        an empty look one load; a message one locked instruction, and one more to
//             acknowledge.
#pragma once

#include "ring/deadline.h"
#include "ring/handle.h"
#include "ring/kept_messages.h"
#include "ring/settled.h"

namespace elasticpool {

class Deliverer {
 public:
  Deliverer(Region& region, const Member& joined, uint32_t group, uint64_t private_bytes);

  ep_ring_error get(int timeout_ms, ep_ring_message* messages, size_t capacity, size_t* count);
  ep_ring_error ack(const ep_ring_message& message);
  ep_ring_error release(const ep_ring_message& message, Tag to);
  ep_ring_error hold(const ep_ring_message& message);
  ep_ring_error unhold(const ep_ring_message& message);
  ep_ring_error reserve(uint64_t bytes, ep_ring_buffer* buffer);
  ep_ring_error discard(const ep_ring_buffer& buffer) { return handle_.discard(buffer); }
  ep_ring_error checkpoint(uint64_t sequence);
  ep_ring_error recover(uint64_t* sequence);
  ep_ring_error attend() { return handle_.attend(); }
  // What is still with it goes to `to`.
  void close(Tag to);

  Handle& handle() { return handle_; }
  uint32_t group() const { return group_index_; }
  ep_ring_error renew();
  // From now on an empty ring leaves us among the sleepers, for a thread that waits in our place.
  void use_events() { has_events_ = true; }

 private:
  static constexpr uint32_t kLanes = Membership::kLanes;
  struct Lanes {
    uint64_t bits[kLanes / 64] = {};
    bool has(uint32_t lane) const { return (bits[lane / 64] >> (lane % 64) & 1) != 0; }
    void add(uint32_t lane) { bits[lane / 64] |= uint64_t{1} << (lane % 64); }
  };
  enum class Look { kNothing, kTaken, kPassed, kLapped, kSkipped, kCorrupt };

  void start_over(uint32_t epoch);
  void catch_up();
  ep_ring_error try_get(ep_ring_message* messages, size_t capacity, size_t* count);
  Look look_at(uint64_t sequence, bool may_steal, Lanes& blocked, ep_ring_message* message);
  Look look_without_line(uint64_t sequence, uint64_t line_sequence);
  EP_ALWAYS_INLINE bool is_for_us(uint64_t sequence, uint64_t delivery, const MessageHeader& header,
                                  bool may_steal, Lanes& blocked) const;
  EP_ALWAYS_INLINE bool is_for_another(uint64_t sequence, uint64_t delivery, const SharedLine& line,
                                       Lanes& blocked) const;
  EP_ALWAYS_INLINE Look claim(uint64_t sequence, uint64_t delivery, const HeaderWords& words,
                              ep_ring_message* message);
  Look look_at_skipped(ep_ring_message* message);
  bool is_still_there(uint64_t sequence) const;
  void acknowledged_to_waiter();
  bool poll(Deadline& deadline);
  void sleep(uint64_t ns);
  bool say_asleep();
  Look give_up_corrupt(uint64_t sequence, uint64_t claimed);
  SharedU64& delivery(uint64_t sequence) const {
    return handle_.region().delivery(group_index_, handle_.region().slot_of(sequence));
  }
  uint64_t claimed_word(uint64_t sequence, uint32_t deliveries) const {
    return delivery_word(DeliveryState::kClaimed, handle_.member.tag,
                         handle_.region().lap_of(sequence), deliveries);
  }
  void return_messages(uint64_t after, bool acknowledged_too, Tag to);
  bool end_work(const ep_ring_message& message, DeliveryState state, Tag tag);
  void take_into_work(const ep_ring_message& message);
  bool give_up(const ep_ring_message& message);
  void give_up_behind(uint64_t after);
  bool may_have_bit(const KeptMessage& message) const;
  bool is_settled(const KeptMessage& message);
  void settle_loose();
  void end_hold_of(const KeptMessage& message);
  bool let_all_go();

  Handle handle_;
  const uint32_t group_index_;
  GroupRecord& group_;
  uint32_t epoch_;
  Membership membership_{0};
  uint32_t rank_ = 0;
  uint64_t scan_ = 0;                    // everything before it was looked at
  uint64_t skipped_ = 0;                 // everything before it is acknowledged or with somebody
  uint64_t again_ = 0;                   // where the pass over skipped ones stands
  uint64_t looked_at_ns_ = 0;            // when the look at skipped ones began
  uint64_t verify_until_ = 0;            // messages before it may be taken out while we claim them
  Lanes blocked_;                        // lanes of which an earlier message is with another member
  Lanes blocked_again_;                  // the same as the pass over skipped ones sees it
  uint64_t claimed_first_ = UINT64_MAX;  // all that bears our tag is from here on
  uint64_t claimed_end_ = 0;             // and before this
  const bool drops_;                     // messages may be dropped under our hands
  uint32_t taken_away_ = 0;              // the group's count before the last look
  uint32_t loose_ = 0;                   // of kept_: over, and somebody is about to set our bit
  KeptMessages kept_;
  Settled settled_;
  uint64_t delivered_ = 0;
  uint64_t acknowledged_ = 0;
  uint64_t acknowledged_to_waiters_ = 0;  // since they were woken
  uint64_t redelivered_ = 0;
  uint32_t empty_looks_ = 0;
  uint64_t streak_ = 0;       // messages seen since a look found none
  uint64_t last_streak_ = 0;  // before that
  bool corrupt_is_told_ = true;
  bool has_events_ = false;
  const bool has_slabs_;  // of its own
};

}  // namespace elasticpool
