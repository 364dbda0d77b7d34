// Consumers: what they keep beyond the acknowledgement, and what was dropped under their hands.
#include "ring/deliver.h"
#include "ring/holders.h"

namespace elasticpool {
namespace {

constexpr uint32_t kLooseMany = 32;

}  // namespace

// In a group that drops each message; else what is held, and comes again.
void Deliverer::take_into_work(const ep_ring_message& message) {
  KeptMessage* known = kept_.find(message.sequence);
  if (known == nullptr && !drops_) return;
  KeptMessage& entry = kept_.at(message.sequence);
  // The bit of its last delivery is still there, or may still come.
  entry.has_bit = known != nullptr;
  entry.block = message.block;
  entry.taken_away = taken_away_;
  entry.deliveries = static_cast<uint8_t>(message.deliveries);
  entry.is_in_work = true;
}

bool Deliverer::may_have_bit(const KeptMessage& message) const {
  return message.has_bit ||
         (drops_ && message.taken_away != static_cast<uint32_t>(group_.taken_away.load_ordered()));
}

// Whether the entry may go: neither its program nor the ring needs our bit any more, and it is not
// set. While somebody takes the message from us he may set it late: then we look again.
bool Deliverer::is_settled(const KeptMessage& message) {
  if (message.is_in_work || message.is_held) return false;
  if (!may_have_bit(message)) return true;
  if (drops_ && is_being_dropped(handle_.region(), message.sequence)) {
    ++loose_;
    return false;
  }
  end_hold_of(message);
  return true;
}

void Deliverer::settle_loose() {
  loose_ = 0;
  kept_.remove_if([this](const KeptMessage& message) { return is_settled(message); });
}

void Deliverer::end_hold_of(const KeptMessage& message) {
  BlockPlace place;
  if (handle_.pool.find(message.block, &place) &&
      end_hold(place, message.sequence, handle_.member.tag)) {
    handle_.reclaimer.free_if_unheld(message.block, place);
  }
}

// Behind the change of its delivery word, by us or by others. An earlier delivery than the last one
// is nothing to us. Whether it was in work until now.
bool Deliverer::give_up(const ep_ring_message& message) {
  KeptMessage* entry = kept_.find(message.sequence);
  if (entry == nullptr || entry->deliveries != static_cast<uint8_t>(message.deliveries)) {
    return false;
  }
  const bool was_in_work = entry->is_in_work;
  entry->is_in_work = false;
  if (is_settled(*entry)) kept_.remove(message.sequence);
  if (loose_ >= kLooseMany) settle_loose();
  return was_in_work;
}

// What is behind `after` was returned.
void Deliverer::give_up_behind(uint64_t after) {
  kept_.remove_if([this, after](KeptMessage& message) {
    if (message.sequence > after && message.is_in_work) {
      // Dropped under our hands.
      settled_.given_up(message.sequence);
      message.is_in_work = false;
    }
    return is_settled(message);
  });
}

// False: somebody may set our bit on one of them.
bool Deliverer::let_all_go() {
  bool is_over = true;
  kept_.remove_if([this, &is_over](const KeptMessage& message) {
    if (drops_ && is_being_dropped(handle_.region(), message.sequence)) is_over = false;
    if (may_have_bit(message)) end_hold_of(message);
    return true;
  });
  return is_over;
}

ep_ring_error Deliverer::hold(const ep_ring_message& message) {
  const ep_ring_error error = handle_.attend();
  if (error != EP_RING_OK) return error;
  if (!kept_.make_room()) return EP_RING_NO_MEMORY;
  const uint64_t claimed = claimed_word(message.sequence, message.deliveries & kDeliveriesMax);
  BlockPlace place;
  if (!handle_.pool.find(message.block, &place)) return EP_RING_GONE;
  // With us, so its block stays; from then on the bit keeps it.
  if (delivery(message.sequence).load_ordered() != claimed) return EP_RING_GONE;
  if (!begin_hold(place, message.sequence, handle_.member.tag)) return EP_RING_GONE;
  KeptMessage& entry = kept_.at(message.sequence);
  entry.block = message.block;
  entry.deliveries = static_cast<uint8_t>(message.deliveries);
  entry.is_in_work = true;
  entry.is_held = true;
  entry.has_bit = true;
  return EP_RING_OK;
}

// What is in work may be dropped at any moment, and then the same bit keeps it: so it stays until
// the message is given up.
ep_ring_error Deliverer::unhold(const ep_ring_message& message) {
  const ep_ring_error error = handle_.attend();
  if (error != EP_RING_OK) return error;
  KeptMessage* entry = kept_.find(message.sequence);
  if (entry == nullptr || !entry->is_held) return EP_RING_GONE;
  entry->is_held = false;
  if (is_settled(*entry)) kept_.remove(message.sequence);
  return EP_RING_OK;
}

}  // namespace elasticpool
