// Consumers: what they keep beyond the acknowledgement, and what was dropped under their hands.
#include "ring/deliver.h"
#include "ring/holders.h"

namespace elasticpool {

using State = HeldBlocks::State;

// Whether a message that is, or was, with us may have been dropped under our hands.
bool Deliverer::is_taken_away(uint64_t sequence) {
  const uint64_t count = group_.taken_away.load_ordered();
  if (EP_UNLIKELY(count != taken_away_)) {
    taken_away_ = count;
    // Who drops counts first and claims nothing: what we claim from now on is not meant.
    taken_until_ = claimed_end_;
  }
  return EP_UNLIKELY(sequence < taken_until_);
}

// Behind the change of its delivery word, by us or by others. Who dropped it, and perhaps died in
// the middle of that, has set our holder's bit.
void Deliverer::give_up(uint64_t sequence, uint32_t block) {
  bool is_to_go = is_taken_away(sequence);
  if (EP_UNLIKELY(!held_.is_empty())) {
    // Where it is not known what the program holds, it stays until the handle is closed.
    if (!held_.are_known()) return;
    const State state = held_.state(sequence);
    if (state == State::kInWork) held_.set_state(sequence, State::kOutOfWork);
    if (state == State::kLetGo) held_.remove(sequence);
    is_to_go = state == State::kLetGo || (is_to_go && state == State::kNone);
  }
  if (is_to_go) let_go({sequence, block});
}

// Whoever takes it from us at this moment may set the bit late: then we look again.
void Deliverer::let_go(const Loose& message) {
  if (loose_count_ != 0) let_go_loose();
  if (!is_being_dropped(handle_.region(), message.sequence)) {
    end_hold_of(message);
  } else if (loose_count_ < kLooseMax) {
    loose_[loose_count_++] = message;
  }
}

void Deliverer::let_go_loose() {
  uint32_t left = 0;
  for (uint32_t i = 0; i < loose_count_; ++i) {
    if (is_being_dropped(handle_.region(), loose_[i].sequence)) {
      loose_[left++] = loose_[i];
    } else {
      end_hold_of(loose_[i]);
    }
  }
  loose_count_ = left;
}

bool Deliverer::end_hold_of(const Loose& message) {
  BlockPlace place;
  if (!handle_.pool.find(message.block, &place) ||
      !end_hold(place, message.sequence, handle_.member.tag)) {
    return false;
  }
  handle_.reclaimer.free_if_unheld(message.block, place);
  return true;
}

ep_ring_error Deliverer::hold(const ep_ring_message& message) {
  const ep_ring_error error = handle_.attend();
  if (error != EP_RING_OK) return error;
  const uint64_t claimed = claimed_word(message.sequence, message.deliveries & kDeliveriesMax);
  BlockPlace place;
  if (!handle_.pool.find(message.block, &place)) return EP_RING_GONE;
  // With us, so its block stays; from then on the bit keeps it.
  if (delivery(message.sequence).load_ordered() != claimed) return EP_RING_GONE;
  if (!begin_hold(place, message.sequence, handle_.member.tag)) return EP_RING_GONE;
  held_.hold(message.sequence, message.block);
  return EP_RING_OK;
}

// What is in work may be dropped at any moment, and then the same bit keeps it: so it stays until
// the message is given up.
ep_ring_error Deliverer::unhold(const ep_ring_message& message) {
  const ep_ring_error error = handle_.attend();
  if (error != EP_RING_OK) return error;
  switch (held_.state(message.sequence)) {
    case State::kInWork:
      held_.set_state(message.sequence, State::kLetGo);
      return EP_RING_OK;
    case State::kLetGo:
      return EP_RING_GONE;
    case State::kOutOfWork:
      held_.remove(message.sequence);
      let_go({message.sequence, message.block});
      return EP_RING_OK;
    case State::kNone:
      break;
  }
  return end_hold_of({message.sequence, message.block}) ? EP_RING_OK : EP_RING_GONE;
}

// False: there may be more.
bool Deliverer::unhold_all() {
  if (!held_.are_known()) return false;
  const uint64_t bit = holder_bit(handle_.member.tag);
  for (uint32_t i = 0; i < held_.count(); ++i) {
    BlockPlace place;
    if (!handle_.pool.find(held_.at(i).block, &place)) return false;
    place.entry->holders.clear_bits(bit);
    handle_.reclaimer.free_if_unheld(held_.at(i).block, place);
  }
  return true;
}

}  // namespace elasticpool
