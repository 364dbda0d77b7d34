// Who died, and what he held.
#include "ring/sweep.h"

#include <bit>

#include "ring/groups.h"
#include "ring/holders.h"
#include "ring/reclaim.h"
#include "ring/settled.h"

namespace elasticpool {
namespace {

// What a sweep works on: the fallen member, and ourselves.
class Sweep {
 public:
  Sweep(Member& me, Pool& pool, uint32_t place, uint64_t state_word, bool gone)
      : me_(me),
        pool_(pool),
        region_(*me.region),
        reclaimer_(me, pool, false),
        record_(region_.member(place)),
        place_(place),
        tag_(tag_at(place, state_word)),
        is_gone_(gone) {}

  // Of a consumer: nothing is for it any more.
  void leave_group();
  void run() {
    sweep_slots();
    sweep_groups();
    if (place_ < kConsumersMax) sweep_deliveries();
    if (!is_gone_) return;
    sweep_emptied();
    sweep_blocks();
    sweep_spares();
    restore_ring_hints(region_);
  }

 private:
  void sweep_slots();
  bool sweep_slot(uint64_t slot, uint64_t near);
  void sweep_groups();
  void sweep_deliveries();
  void return_message(uint32_t group, uint64_t sequence);
  void sweep_emptied();
  void sweep_blocks();
  void sweep_run_or_slab(uint64_t granule, uint64_t word);
  void sweep_slab(const SlabPlace& slab);
  void sweep_block(uint32_t block);
  void clear_lost_holders(const BlockPlace& place);
  bool is_in_slot(uint32_t block, uint32_t low) const;
  void sweep_spares();

  Member& me_;
  Pool& pool_;
  Region& region_;
  Reclaimer reclaimer_;
  MemberRecord& record_;
  const uint32_t place_;
  const Tag tag_;
  const bool is_gone_;
};

// True: nothing of the fallen one is left in the slot. Bad otherwise: 1. A and B find it claimed;
// 2. B says kHelped and is slow to write; 3. A is refused, goes on to the blocks, sees no header
// that names this one and frees it under B's hands.
bool Sweep::sweep_slot(uint64_t slot, uint64_t near) {
  const uint64_t word = region_.slot_word(slot).load_ordered();
  const SlotState state = slot_state(word);
  const uint64_t sequence = region_.sequence_of(slot, slot_lap(word), near);
  // Its own, or helped by somebody who died in the middle of it, perhaps.
  const bool may_be_unwritten =
      (state == SlotState::kClaimed && slot_tag(word) == tag_) || state == SlotState::kHelped;
  if (!may_be_unwritten || region_.line(slot).words[0].load_acquire() == sequence) return true;
  return help_publish(me_, sequence, word);
}

void Sweep::sweep_slots() {
  // Each refusal means that somebody else went a step on; more only where words are not right.
  constexpr unsigned kTries = 8;
  const uint64_t near = region_.header().tail.load_relaxed();
  for (uint64_t slot = 0; slot < region_.geometry().slots; ++slot) {
    for (unsigned i = 0; i < kTries && !sweep_slot(slot, near); ++i) continue;
  }
}

// A group that it was creating.
void Sweep::sweep_groups() {
  for (uint32_t i = 0; i < kGroupsMax; ++i) {
    GroupRecord& group = region_.group(i);
    const uint64_t word = group.state.load_ordered();
    const GroupState state = group_state(word);
    if (state != GroupState::kJoining && state != GroupState::kAbandoned) continue;
    if (group.creator.load_relaxed() != static_cast<uint32_t>(tag_)) continue;
    group.state.change(word, group_word(is_gone_ ? GroupState::kFree : GroupState::kAbandoned,
                                        group_generation(word)));
  }
}

void Sweep::return_message(uint32_t group, uint64_t sequence) {
  SharedU64& delivery = region_.delivery(group, region_.slot_of(sequence));
  const uint64_t word = delivery.load_ordered();
  const uint32_t lap = region_.lap_of(sequence);
  if (!is_of_lap(word, lap) || delivery_tag(word) != tag_) return;
  const DeliveryState state = delivery_state(word);
  const uint64_t checkpoint = record_.checkpoint.load_relaxed();
  const bool is_behind_checkpoint =
      state == DeliveryState::kAcked && checkpoint != kNoCheckpoint && sequence > checkpoint;
  if (state != DeliveryState::kClaimed && !is_behind_checkpoint) return;
  // It may still be reading what it was delivered.
  if (!is_gone_) keep_for(region_, pool_, sequence, tag_);
  delivery.change(word,
                  delivery_word(DeliveryState::kReturned, kNobody, lap, delivery_count(word)));
}

void Sweep::leave_group() {
  const uint32_t group_index = record_.group.load_relaxed();
  if (place_ >= kConsumersMax || group_index >= kGroupsMax) return;
  GroupRecord& group = region_.group(group_index);
  const uint64_t bit = holder_bit(tag_);
  group.sleepers.clear_bits(bit);
  group.members.clear_bits(bit);
  stir_group(region_, group_index);
}

void Sweep::sweep_deliveries() {
  const uint32_t group_index = record_.group.load_relaxed();
  if (group_index >= kGroupsMax) return;
  GroupRecord& group = region_.group(group_index);
  const uint64_t bit = holder_bit(tag_);
  group.sleepers.clear_bits(bit);
  group.members.clear_bits(bit);
  const uint64_t near = region_.header().tail.load_relaxed();
  // A group without delivery words was never created.
  if (group_generation(group.state.load_ordered()) != 0) {
    for (uint64_t slot = 0; slot < region_.geometry().slots; ++slot) {
      const uint64_t word = region_.slot_word(slot).load_ordered();
      if (slot_state(word) == SlotState::kEmpty) continue;
      return_message(group_index, region_.sequence_of(slot, slot_lap(word), near));
    }
  }
  count_return(group);
  stir_group(region_, group_index);
}

// Whether the slot of that sequence holds this very block.
bool Sweep::is_in_slot(uint32_t block, uint32_t low) const {
  const uint64_t slot = region_.slot_of(low);
  const uint64_t word = region_.slot_word(slot).load_ordered();
  if (slot_state(word) == SlotState::kEmpty) return false;
  const uint64_t near = region_.header().tail.load_relaxed();
  const uint64_t sequence = region_.sequence_of(slot, slot_lap(word), near);
  MessageHeader header;
  return static_cast<uint32_t>(sequence) == low &&
         open_header(region_.line(slot), sequence, &header) && header.block == block;
}

// Of a detached block, which nobody can begin to hold: bits of consumers that are not there. A
// sweep that was stopped in keep_for() sets one late; and who dies between giving up the last
// one and freeing the block leaves none at all.
void Sweep::clear_lost_holders(const BlockPlace& place) {
  const uint64_t holders = place.entry->holders.load_ordered();
  uint64_t lost = 0;
  for (uint64_t left = holders_of(holders); left != 0; left &= left - 1) {
    const auto holder = static_cast<uint32_t>(std::countr_zero(left));
    const MemberState state = member_state(region_.member(holder).state.load_ordered());
    if (state == MemberState::kFree || state == MemberState::kDormant) {
      lost |= uint64_t{1} << holder;
    }
  }
  if (lost != 0) place.entry->holders.change(holders, holders & ~lost);
}

void Sweep::sweep_block(uint32_t block) {
  BlockPlace place;
  if (!pool_.find(block, &place)) return;
  const uint64_t word = place.entry->word.load_ordered();
  const BlockState state = block_state(word);
  if (block_tag(word) == tag_) {
    if (state == BlockState::kCached || state == BlockState::kReserved) {
      pool_.give_back(block, place, word, false);
      return;
    }
    if (state == BlockState::kAttached && !is_in_slot(block, block_low(word))) {
      reclaimer_.finish_block(block, place, word);
      return;
    }
  }
  if (state == BlockState::kDetached) {
    clear_lost_holders(place);
    reclaimer_.free_if_unheld(block, place);
  }
  if (place_ >= kConsumersMax) return;
  const bool may_be_held = state == BlockState::kAttached || state == BlockState::kDetached;
  const uint64_t bit = holder_bit(tag_);
  while (may_be_held) {
    const uint64_t holders = place.entry->holders.load_ordered();
    if ((holders & bit) == 0) break;
    if (!place.entry->holders.change(holders, holders & ~bit)) continue;
    reclaimer_.free_if_unheld(block, place);
    break;
  }
}

void Sweep::sweep_slab(const SlabPlace& slab) {
  if (slab.owner == tag_) {
    region_.granule(slab.first)
        .word.change(block_word(BlockState::kSlab, tag_, slab.generation),
                     block_word(BlockState::kSlab, kNobody, slab.generation));
  }
  const uint64_t first = slab.first * kLinesPerGranule;
  for (uint32_t i = 0; i < kBlockSizeTable[slab.size_index].blocks_per_slab; ++i) {
    const uint64_t word = region_.block_entry(first + i).word.load_relaxed();
    if (block_state(word) != BlockState::kFree) sweep_block(static_cast<uint32_t>(first + i));
  }
  pool_.slabs().restore_hints(slab);
}

void Sweep::sweep_run_or_slab(uint64_t granule, uint64_t word) {
  switch (block_state(word)) {
    case BlockState::kBuilding:
    case BlockState::kFreeing:
      if (block_tag(word) == tag_ &&
          (block_tag(word) == me_.tag || region_.granule(granule).word.change(
                                             word, block_word(BlockState::kFreeing, me_.tag, 0)))) {
        pool_.runs().free(granule, pool_.runs().length_of(granule));
      }
      return;
    case BlockState::kDissolving:
      if (block_tag(word) == tag_) {
        pool_.slabs().undo_dissolving(granule, region_.granule_info(granule).load_relaxed(), word,
                                      kNobody);
      }
      // Another's attempt may fail because of what the fallen one has in it.
      [[fallthrough]];
    case BlockState::kSlab: {
      SlabPlace slab;
      if (pool_.slabs().find_slab(granule, &slab)) sweep_slab(slab);
      return;
    }
    case BlockState::kCached:
    case BlockState::kReserved:
    case BlockState::kAttached:
    case BlockState::kDetached:
      sweep_block(kRunBlock | static_cast<uint32_t>(granule));
      return;
    case BlockState::kFree:
    case BlockState::kTail:
    case BlockState::kRetired:
      return;
  }
}

// The block of a message whose slot it had emptied, perhaps. Whoever emptied it instead frees the
// block by the same change.
void Sweep::sweep_emptied() {
  const uint64_t sequence = record_.emptying.load_acquire();
  const uint32_t block = record_.emptying_block.load_relaxed();
  BlockPlace place;
  if (sequence == 0 || !pool_.find(block, &place)) return;
  const uint64_t word = place.entry->word.load_ordered();
  const uint64_t slot_word = region_.slot_word(region_.slot_of(sequence)).load_ordered();
  const int32_t ahead = laps_ahead(slot_word, region_.lap_of(sequence));
  bool has_gone_on = ahead > 0;
  // Its header is given up already, by this one or by whoever had the slot since: everybody has
  // passed the message.
  const SharedLine& line = region_.line(region_.slot_of(sequence));
  const SlotState state = slot_state(slot_word);
  if (ahead == 0 && (state == SlotState::kPublished || state == SlotState::kHelped) &&
      line.words[0].load_acquire() != sequence) {
    has_gone_on = reclaimer_.empty(sequence, slot_word) != Reclaimer::Outcome::kStop;
  }
  if (has_gone_on && block_state(word) == BlockState::kAttached &&
      block_low(word) == static_cast<uint32_t>(sequence)) {
    reclaimer_.finish_block(block, place, word);
  }
}

void Sweep::sweep_blocks() {
  const uint64_t end = pool_.runs().granules();
  for (uint64_t granule = 0; granule < end; ++granule) {
    const uint64_t word = region_.granule(granule).word.load_ordered();
    if (word != kFreeGranule) {
      sweep_run_or_slab(granule, word);
      continue;
    }
    // Its hint may have died with who took it.
    SharedU32& hint = region_.free_hint(granule / kGranulesPerWord);
    const uint32_t bit = uint32_t{1} << (granule % kGranulesPerWord);
    if ((hint.load_relaxed() & bit) == 0) hint.set_bits(bit);
  }
}

// Spare lines that no slot has: taken by somebody who died before he gave them to one, or replaced.
void Sweep::sweep_spares() {
  const uint64_t near = region_.header().tail.load_relaxed();
  for (uint32_t i = 0; i < kMembersMax; ++i) {
    const uint64_t word = region_.spare(i).load_ordered();
    // Who took it may be about to give it to the slot.
    if (word == 0 || (spare_tag(word) != tag_ && is_open(region_, spare_tag(word)))) continue;
    const uint64_t slot = region_.slot_of(spare_sequence(word));
    if (line_spare(region_.line_map(slot).load_ordered()) == i + 1) continue;
    const uint32_t lap = slot_lap(region_.slot_word(slot).load_ordered());
    const uint64_t now_there = region_.sequence_of(slot, lap, near);
    if (!is_line_written(region_, now_there, LineWriters::kOfEarlier)) {
      region_.spare(i).change(word, 0);
    }
  }
}

MemberState state_after(const Region& region, uint32_t place, bool keeps_checkpoint) {
  const MemberRecord& record = region.member(place);
  const bool is_known = place < kConsumersMax && keeps_checkpoint &&
                        record.checkpoint.load_relaxed() != kNoCheckpoint &&
                        !(record.name.get() == NameText{});
  return is_known ? MemberState::kDormant : MemberState::kFree;
}

// One fenced member: its messages to others; where it is gone, all of it.
void sweep_member(Member& me, Pool& pool, uint32_t place, uint64_t word, bool gone) {
  me.record->sweeping.store_ordered(place + 1);
  MemberRecord& record = me.region->member(place);
  if (record.state.load_ordered() == word) {
    Sweep(me, pool, place, word, gone).run();
    if (gone) record.state.change(word, with_state(word, state_after(*me.region, place, true)));
  }
  me.record->sweeping.store_ordered(0);
}

}  // namespace

bool help_publish(Member& me, uint64_t sequence, uint64_t slot_word_seen) {
  Region& region = *me.region;
  SharedU64& slot = region.slot_word(region.slot_of(sequence));
  const Tag tag = slot_tag(slot_word_seen);
  const uint32_t lap = slot_lap(slot_word_seen);
  if (place_of(tag) >= kMembersMax) return false;
  MessageHeader header;
  const SharedLine& intent = region.member(place_of(tag)).intent;
  bool is_known = open_header(intent, sequence, &header);
  // Whole, if it is still that of this sequence.
  acquire_fence();
  is_known = is_known && intent.words[0].load_relaxed() == sequence;
  if (slot.load_ordered() != slot_word_seen) return false;
  if (!is_known) {
    // Scribbled over, or written long ago: consumers will see which.
    if (slot_state(slot_word_seen) == SlotState::kClaimed) {
      slot.change(slot_word_seen, slot_word(SlotState::kPublished, tag, lap));
    }
    return false;
  }
  // Looked up while the slot is the message's for certain: see Publisher::write_line().
  SharedLine& line = region.line(region.slot_of(sequence));
  // Said before it is done: the line is not written for another message while we may write it.
  me.record->helping.store_ordered(sequence);
  const uint64_t helped = slot_word(SlotState::kHelped, tag, lap);
  const bool is_ours = slot_word_seen == helped ? slot.load_ordered() == helped
                                                : slot.change(slot_word_seen, helped);
  if (is_ours) {
    store_header_body(line, pack_header(header));
    store_header_sequence(line, sequence);
  }
  me.record->helping.store_ordered(0);
  for (uint32_t i = 0; is_ours && i < kGroupsMax; ++i) {
    if (group_state(region.group(i).state.load_relaxed()) == GroupState::kActive) {
      stir_group(region, i);
    }
  }
  return is_ours;
}

unsigned watch_region(Member& me, Pool& pool, uint64_t now_ns) {
  RegionHeader& header = me.region->header();
  const uint64_t watched_at = header.watched_at_ns.load_relaxed();
  // Another is at it.
  if (!header.watched_at_ns.change(watched_at, now_ns)) return 0;
  unsigned found = 0;
  for (uint32_t place = 0; place < kMembersMax; ++place) {
    MemberRecord& record = me.region->member(place);
    uint64_t word = record.state.load_ordered();
    const MemberState state = member_state(word);
    if (word == me.live_word && place == place_of(me.tag)) continue;
    if (state == MemberState::kFree || state == MemberState::kDormant) continue;
    const bool gone = is_member_gone(*me.region, place, word);
    if (state != MemberState::kFenced) {
      const bool is_over = state == MemberState::kLive &&
                           static_cast<int64_t>(now_ns - record.lease_until_ns.load_relaxed()) > 0;
      if (!gone && !is_over) continue;
      // Who dies while joining has nothing yet, and leaves a name only where it had one before.
      const MemberState next = state == MemberState::kRejoining ? MemberState::kDormant
                               : state == MemberState::kJoining ? MemberState::kFree
                                                                : MemberState::kFenced;
      if (!record.state.change(word, with_state(word, next))) continue;
      ++found;
      if (next != MemberState::kFenced) continue;
      word = with_state(word, MemberState::kFenced);
      header.deaths.add(1);
    }
    sweep_member(me, pool, place, word, gone);
  }
  return found;
}

void leave_region(Member& me, Pool& pool, Leftovers leftovers, Reclaimer* reclaimer) {
  constexpr uint64_t kSome = 256;
  if (reclaimer != nullptr && me.is_live()) reclaimer->pass(kSome, false);
  pool.flush();
  const uint32_t place = place_of(me.tag);
  const uint64_t fenced = with_state(me.live_word, MemberState::kFenced);
  const bool was_live = me.record->state.change(me.live_word, fenced);
  if (!was_live && me.record->state.load_ordered() != fenced) return;
  // Two that leave at once look at each other's state behind the change of their own.
  if (was_live && reclaimer != nullptr && is_alone(me)) {
    reclaimer->pass(me.region->geometry().slots, false);
    pool.flush();
  }
  Sweep sweep(me, pool, place, fenced, true);
  if (was_live && leftovers == Leftovers::kNone) {
    sweep.leave_group();
  } else {
    sweep.run();
  }
  me.record->state.change(fenced, with_state(fenced, state_after(*me.region, place, true)));
}

// A whole sequence to complete laps by: of a message that proves it, or else the hint.
uint64_t reference_sequence(const Region& region) {
  for (uint64_t slot = 0; slot < region.geometry().slots; ++slot) {
    if (slot_state(region.slot_word(slot).load_ordered()) == SlotState::kEmpty) continue;
    const uint64_t sequence = region.line(slot).words[0].load_acquire();
    MessageHeader header;
    if (open_header(region.line(slot), sequence, &header)) return sequence;
  }
  return region.header().tail.load_ordered();
}

void restore_ring_hints(Region& region) {
  RegionHeader& header = region.header();
  const uint64_t head = header.head.load_ordered();
  const uint64_t tail = header.tail.load_ordered();
  const uint64_t slots = region.geometry().slots;
  const uint64_t near = reference_sequence(region);
  uint64_t oldest = UINT64_MAX;
  uint64_t newest = kFirstSequence - 1;
  for (uint64_t slot = 0; slot < slots; ++slot) {
    const uint64_t word = region.slot_word(slot).load_ordered();
    const uint64_t sequence = region.sequence_of(slot, slot_lap(word), near);
    const bool is_empty = slot_state(word) == SlotState::kEmpty;
    if (!is_empty && sequence < oldest) oldest = sequence;
    // An empty slot waits for its sequence: the one a lap before was there.
    if (is_empty && sequence < slots) continue;
    const uint64_t was_there = is_empty ? sequence - slots : sequence;
    if (was_there > newest) newest = was_there;
  }
  const uint64_t next = newest + 1;
  if (oldest > next) oldest = next;
  if (tail != next) header.tail.change(tail, next);
  // A head that lags is caught up with by whoever passes; one that is wrong is not.
  if (head <= oldest && oldest - head <= slots) return;
  if (!header.head.change(head, oldest) || head < oldest) return;
  // Who began at the wrong one missed what lies before it.
  for (uint32_t i = 0; i < kGroupsMax; ++i) {
    if (group_state(region.group(i).state.load_relaxed()) != GroupState::kActive) continue;
    count_return(region.group(i));
    stir_group(region, i);
  }
}

}  // namespace elasticpool
