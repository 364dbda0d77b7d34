// Out of the slots, and back to the pool.
#include "ring/reclaim.h"

#include <bit>

#include "ring/futex.h"
#include "ring/prefetch.h"
#include "ring/turn.h"

namespace elasticpool {
namespace {

// Delivery words between the one that is looked at and the one that is asked for: two cache lines.
constexpr uint64_t kAhead = 16;

}  // namespace
uint64_t Reclaimer::head() const { return region_.header().head.load_relaxed(); }

bool Reclaimer::is_checkpointed(uint64_t delivery, uint64_t sequence) const {
  const uint32_t place = place_of(delivery_tag(delivery));
  if (place >= kConsumersMax) return true;
  const MemberRecord& record = region_.member(place);
  const uint64_t checkpoint = record.checkpoint.load_acquire();
  if (checkpoint == kNoCheckpoint || sequence <= checkpoint) return true;
  const uint64_t word = record.state.load_acquire();
  // Somebody else has the place by now; what its former owner left was settled by a sweep.
  return member_state(word) == MemberState::kFree ||
         member_generation(word) != generation_of(delivery_tag(delivery));
}

bool Reclaimer::has_passed(uint32_t group_index, uint64_t sequence) const {
  const GroupRecord& group = region_.group(group_index);
  switch (group_state(group.state.load_acquire())) {
    case GroupState::kFree:
    case GroupState::kAbandoned:
      return true;
    case GroupState::kJoining:
      return false;
    case GroupState::kActive:
      break;
  }
  if (sequence < group.start_sequence.load_relaxed()) return true;
  const uint64_t word = region_.delivery(group_index, region_.slot_of(sequence)).load_ordered();
  if (!is_of_lap(word, region_.lap_of(sequence))) return false;
  if (delivery_state(word) == DeliveryState::kDropped) return true;
  return delivery_state(word) == DeliveryState::kAcked && is_checkpointed(word, sequence);
}

void Reclaimer::look_at_groups() {
  const uint64_t epoch = region_.header().groups_epoch.load_ordered();
  if (EP_LIKELY(epoch == groups_epoch_)) return;
  groups_epoch_ = epoch;
  groups_ = 0;
  for (uint32_t i = 0; i < kGroupsMax; ++i) {
    const GroupState state = group_state(region_.group(i).state.load_ordered());
    if (state != GroupState::kFree) groups_ |= uint32_t{1} << i;
  }
}

bool Reclaimer::have_passed(uint64_t sequence, bool even_unseen) const {
  bool is_seen = even_unseen;
  for (uint32_t left = groups_; left != 0; left &= left - 1) {
    const auto i = static_cast<uint32_t>(std::countr_zero(left));
    if (!has_passed(i, sequence)) return false;
    is_seen = is_seen || group_state(region_.group(i).state.load_relaxed()) == GroupState::kActive;
  }
  return is_seen;
}

// The block that the line names, if it is of this message.
void Reclaimer::find_block(uint64_t sequence, Leaving* leaving) const {
  leaving->block = block_in(region_.line(region_.slot_of(sequence)));
  if (!pool_.find(leaving->block, &leaving->place)) return;
  const uint64_t word = leaving->place.entry->word.load_ordered();
  const bool is_of_it = block_state(word) == BlockState::kAttached &&
                        block_low(word) == static_cast<uint32_t>(sequence);
  if (is_of_it) leaving->block_word = word;
}

// Somebody who helped, or was helped, may be in the middle of writing the same words again.
bool is_line_written(const Region& region, uint64_t sequence, LineWriters which) {
  const auto writes = [&](uint64_t other) {
    if (which == LineWriters::kOfThis) return other == sequence;
    return other != 0 && other < sequence && region.slot_of(other) == region.slot_of(sequence);
  };
  for (uint32_t place = 0; place < kMembersMax; ++place) {
    const MemberRecord& record = region.member(place);
    const MemberState state = member_state(record.state.load_acquire());
    if (state == MemberState::kFree || state == MemberState::kDormant) continue;
    if (writes(record.intent.words[0].load_ordered()) || writes(record.helping.load_ordered())) {
      return true;
    }
  }
  return false;
}

// A spare line for a slot whose own may still be written, with the same header: who dies behind
// this leaves a message that can be read. The spare is taken first, in our name: until our handle
// is closed nobody else frees one that no slot has, so what we write is ours.
bool Reclaimer::exchange_line(uint64_t sequence, uint32_t mapped) {
  MessageHeader message;
  if (!open_header(region_.line(region_.slot_of(sequence)), sequence, &message)) return false;
  const uint64_t slots = region_.geometry().slots;
  const uint64_t taken = spare_word(member_.tag, sequence);
  for (uint32_t i = 0; i < kMembersMax; ++i) {
    if (region_.spare(i).load_relaxed() != 0 || !region_.spare(i).change(0, taken)) continue;
    store_header_body(region_.line_at(slots + i), pack_header(message));
    store_header_sequence(region_.line_at(slots + i), message.sequence);
    if (region_.line_map(region_.slot_of(sequence)).change(mapped, next_line_word(mapped, i + 1))) {
      return true;
    }
    region_.spare(i).change(taken, 0);
    return false;
  }
  return false;
}

// The slot's line can be written by the next publisher; false: it cannot, and no other is free, or
// somebody else has the slot by now.
// Bad otherwise: 1. A is stopped before it changes the line word; 2. B takes the message out, C
// publishes the next into the line as it was; 3. A comes back and gives the slot another line. And:
// 1. nobody helps, as A sees; 2. B says that it helps, and finds the slot as it was; 3. A empties
// it, C publishes the next; 4. B writes. So the slot's word is ours first, which a helper sees; the
// line word is read while it is, and wherever somebody could be about to change that, it is changed
// before the slot is empty.
bool Reclaimer::prepare_line(uint64_t sequence, uint64_t* word) {
  SharedU32& map = region_.line_map(region_.slot_of(sequence));
  const bool is_helped = slot_state(*word) == SlotState::kHelped;
  if (EP_LIKELY(!is_helped && line_spare(map.load_acquire()) == 0)) return true;
  SharedU64& slot = region_.slot_word(region_.slot_of(sequence));
  const SlotState state = is_helped ? SlotState::kHelped : SlotState::kPublished;
  const uint64_t ours = slot_word(state, member_.tag, region_.lap_of(sequence));
  if (*word != ours && !slot.change(*word, ours)) return false;
  *word = ours;
  for (unsigned i = 0; i < kMembersMax; ++i) {
    const uint32_t mapped = map.load_ordered();
    if (slot.load_ordered() != ours) return false;
    // Given up by somebody who had the slot before us: then it goes on.
    if (region_.line(region_.slot_of(sequence)).words[0].load_acquire() != sequence) return true;
    if (is_helped && is_line_written(region_, sequence, LineWriters::kOfThis)) {
      return exchange_line(sequence, mapped);
    }
    if (change_line(sequence, mapped, is_helped)) return true;
  }
  return false;
}

// Counts a change of the line word; its own line again, once nobody writes that any more.
bool Reclaimer::change_line(uint64_t sequence, uint32_t mapped, bool is_helped) {
  SharedU32& map = region_.line_map(region_.slot_of(sequence));
  const uint32_t spare = line_spare(mapped);
  const bool is_known = spare - 1 < kMembersMax;
  const bool stays =
      is_known && (is_helped || is_line_written(region_, sequence, LineWriters::kOfEarlier));
  if (stays || !is_known) return map.change(mapped, next_line_word(mapped, stays ? spare : 0));
  // In our name first: a spare that no slot has is freed by a sweep when its taker is gone, and who
  // took this one may stay for long.
  SharedU64& word = region_.spare(spare - 1);
  const uint64_t ours = spare_word(member_.tag, sequence);
  if (!word.change(word.load_ordered(), ours)) return false;
  const bool is_changed = map.change(mapped, next_line_word(mapped, 0));
  if (line_spare(map.load_ordered()) != spare) word.change(ours, 0);
  return is_changed;
}

void Reclaimer::finish_block(uint32_t block, const BlockPlace& place, uint64_t word) {
  const uint64_t holders = place.entry->holders.load_ordered();
  if (EP_UNLIKELY(holders_of(holders) != 0 && is_held_as(holders, block_low(word)))) {
    // The last holder may have gone before it could see that: then it is for us to free.
    if (place.entry->word.change(word,
                                 block_word(BlockState::kDetached, kNobody, block_low(word)))) {
      free_if_unheld(block, place);
    }
    return;
  }
  pool_.give_back(block, place, word, keeps_blocks_);
}

void Reclaimer::free_if_unheld(uint32_t block, const BlockPlace& place) {
  const uint64_t word = place.entry->word.load_ordered();
  if (block_state(word) != BlockState::kDetached) return;
  if (holders_of(place.entry->holders.load_ordered()) != 0) return;
  pool_.give_back(block, place, word, keeps_blocks_);
}

// The slot has its sequence, and the line does not say so. Mostly its publisher, or who helps it,
// is about to write; else somebody scribbled over it.
Reclaimer::Outcome Reclaimer::without_line(uint64_t sequence, uint64_t slot_word) {
  if (slot_state(slot_word) == SlotState::kClaimed && !is_at_work(region_, slot_tag(slot_word))) {
    return Outcome::kStop;
  }
  if (is_line_written(region_, sequence, LineWriters::kOfThis)) return Outcome::kStop;
  SharedU64& slot = region_.slot_word(region_.slot_of(sequence));
  if (region_.line(region_.slot_of(sequence)).words[0].load_acquire() == sequence ||
      !slot.change(slot_word, empty_slot(region_.lap_of(sequence) + 1))) {
    return Outcome::kStop;
  }
  region_.header().corruptions.add(1);
  return Outcome::kTaken;
}

Reclaimer::Outcome Reclaimer::take_out(uint64_t sequence, uint64_t slot_word, bool even_unseen) {
  RegionHeader& header = region_.header();
  // order[ring-join]: after the slot's word and its line; see the creation of groups
  if (header.groups_epoch.load_ordered() != groups_epoch_ || !have_passed(sequence, even_unseen)) {
    return Outcome::kStop;
  }
  Leaving leaving;
  // The header is read before its line may be exchanged.
  find_block(sequence, &leaving);
  member_.record->emptying_block.store_relaxed(leaving.block);
  member_.record->emptying.store_release(sequence);
  if (!prepare_line(sequence, &slot_word)) return Outcome::kStop;
  const Outcome outcome = empty(sequence, slot_word);
  if (outcome == Outcome::kStop) return outcome;
  if (EP_LIKELY(leaving.block_word != 0)) {
    finish_block(leaving.block, leaving.place, leaving.block_word);
  } else if (outcome == Outcome::kTaken) {
    header.corruptions.add(1);
  }
  return outcome;
}

// Refused, it goes on only where the header is given up already, by us or by who had the slot
// before: nobody else could tell whose slot and block these are.
Reclaimer::Outcome Reclaimer::empty(uint64_t sequence, uint64_t slot_word) {
  const uint32_t lap = region_.lap_of(sequence);
  SharedU64& slot = region_.slot_word(region_.slot_of(sequence));
  for (unsigned i = 0; i < kMembersMax; ++i) {
    if (EP_LIKELY(slot.change(slot_word, empty_slot(lap + 1)))) return Outcome::kTaken;
    slot_word = slot.load_ordered();
    if (laps_ahead(slot_word, lap) > 0) return Outcome::kAlreadyGone;
    const SharedLine& line = region_.line(region_.slot_of(sequence));
    if (slot_lap(slot_word) != lap || line.words[0].load_acquire() == sequence) break;
  }
  return Outcome::kStop;
}

Reclaimer::Outcome Reclaimer::pass_one(uint64_t sequence, bool even_unseen) {
  const uint64_t slot = region_.slot_of(sequence);
  const uint64_t word = region_.slot_word(slot).load_ordered();
  for (uint32_t left = groups_; left != 0; left &= left - 1) {
    const auto group = static_cast<uint32_t>(std::countr_zero(left));
    prefetch_to_read(&region_.delivery(group, region_.slot_of(sequence + kAhead)));
  }
  const int32_t ahead = laps_ahead(word, region_.lap_of(sequence));
  if (ahead > 0) return Outcome::kAlreadyGone;
  if (ahead < 0 || slot_state(word) == SlotState::kEmpty) return Outcome::kStop;
  if (EP_UNLIKELY(region_.line(slot).words[0].load_ordered() != sequence)) {
    return have_passed(sequence, even_unseen) ? without_line(sequence, word) : Outcome::kStop;
  }
  return take_out(sequence, word, even_unseen);
}

uint64_t Reclaimer::pass(uint64_t most, bool even_unseen, uint64_t end) {
  uint64_t head = this->head();
  if (head >= end) return 0;
  const uint64_t first = head;
  uint64_t taken = 0;
  look_at_groups();
  // A head that lags is caught up with, one ring at most.
  for (uint64_t i = 0; taken < most && head < end && i < region_.geometry().slots; ++i) {
    const Outcome outcome = pass_one(head, even_unseen);
    if (outcome == Outcome::kStop) break;
    if (outcome == Outcome::kTaken) ++taken;
    ++head;
  }
  while (head != first) {
    const uint64_t now = this->head();
    if (now >= head || region_.header().head.change(now, head)) break;
  }
  // Publishers do not wake each other, they would only sleep and wake in turn: consumers see to it.
  if (taken != 0 && !keeps_blocks_) wake_publishers();
  return taken;
}

bool Reclaimer::pass_in_turn(uint64_t most, bool insist) {
  Turn turn(region_.header().head_turn, member_.tag);
  if (!turn.take()) {
    if (!insist) return false;
    turn.take_over();
  }
  pass(most, false);
  turn.give();
  return true;
}

void Reclaimer::cleanup_before(uint64_t sequence) {
  if (sequence == 0) return;
  for (uint32_t place = 0; place < kConsumersMax; ++place) {
    SharedU64& checkpoint = region_.member(place).checkpoint;
    const uint64_t value = checkpoint.load_acquire();
    if (value != kNoCheckpoint && value < sequence - 1) checkpoint.change(value, sequence - 1);
  }
  const uint64_t tail = region_.header().tail.load_ordered();
  const uint64_t end = sequence < tail ? sequence : tail;
  uint64_t at = head();
  for (uint64_t n = 0; at < end && n < region_.geometry().slots; ++at, ++n) {
    const uint32_t lap = region_.lap_of(at);
    for (uint32_t i = 0; i < kGroupsMax; ++i) {
      if (group_state(region_.group(i).state.load_acquire()) != GroupState::kActive) continue;
      SharedU64& delivery = region_.delivery(i, region_.slot_of(at));
      const uint64_t word = delivery.load_ordered();
      // Also where a later message has the slot already: that one's word is not ours to change.
      if (!is_unclaimed(word, lap)) continue;
      if (delivery.change(word, delivery_word(DeliveryState::kDropped, kNobody, lap, 0))) {
        region_.group(i).dropped.add(1);
      }
    }
  }
  pass(end, true);
}

void Reclaimer::wake_publishers() {
  RegionHeader& header = region_.header();
  if (header.space_waiters.load_ordered() == 0) return;
  header.space_waiters.store_relaxed(0);
  header.space_count.add(1);
  futex_wake(header.space_count, INT32_MAX);
}

}  // namespace elasticpool
