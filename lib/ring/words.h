// The words that say who owns what: a fact and its owner in 64 bits, changed at once.
//
// Pure: bits in, bits out.
//
// Member word    state 4 | generation 18 | process 32, of a registry place: who it is now.
// Tag            place 10 | generation 18: names one opening of one handle, for good.
// Block word     state 4 | tag 28 | low 32: of a block of the pool, or of a run of granules.
// Slot word      state 4 | tag 28 | lap 32: who publishes into a slot.
// Delivery word  state 4 | deliveries 8 | lap 24 | tag 28: one a group and slot.
// Holder word    sequence 16 | consumers 48: who keeps a message beyond its acknowledgement.
// Line word      changes 24 | spare 8: which header line a slot has. 0: its own, else a spare, plus
//                one.
// Spare word     tag 28 | sequence 36: who took a spare line, for which message's slot.
//
// Invariants  a thing never belongs to nobody: each change of hands is one change of one word, so a
//             process that dies leaves its name on all that it held. A word never takes a value
//             twice while somebody could still expect the first one: generation, lap or sequence
//             differ.
#pragma once

#include <cstdint>

namespace elasticpool {

inline constexpr unsigned kPlaceBits = 10;
inline constexpr unsigned kGenerationBits = 18;
inline constexpr unsigned kTagBits = kPlaceBits + kGenerationBits;
inline constexpr uint32_t kTagMask = (uint32_t{1} << kTagBits) - 1;
inline constexpr uint32_t kGenerationMask = (uint32_t{1} << kGenerationBits) - 1;

enum class Tag : uint32_t {};
inline constexpr Tag kNobody{kTagMask};

constexpr Tag make_tag(uint32_t place, uint32_t generation) {
  return Tag{((generation & kGenerationMask) << kPlaceBits) | place};
}
constexpr uint32_t place_of(Tag tag) {
  return static_cast<uint32_t>(tag) & ((uint32_t{1} << kPlaceBits) - 1);
}
constexpr uint32_t generation_of(Tag tag) { return static_cast<uint32_t>(tag) >> kPlaceBits; }

// Asks this one opening to leave; whoever has the place later does not feel meant.
constexpr uint32_t leave_mark(Tag tag) { return generation_of(tag) | uint32_t{1} << 31; }

// ---- Members.
enum class MemberState : uint32_t {
  kFree = 0,
  kJoining = 1,  // being filled in; its process is written down already
  kLive = 2,
  kFenced = 3,     // dead, or its lease ran out: being swept
  kDormant = 4,    // a consumer that died; its name and checkpoint are kept
  kRejoining = 5,  // joining from dormant
};
constexpr uint64_t member_word(MemberState state, uint32_t generation, uint32_t process) {
  return uint64_t{static_cast<uint32_t>(state)} << 60 |
         uint64_t{generation & kGenerationMask} << 32 | process;
}
constexpr MemberState member_state(uint64_t word) {
  return MemberState{static_cast<uint32_t>(word >> 60)};
}
constexpr uint32_t member_generation(uint64_t word) {
  return static_cast<uint32_t>(word >> 32) & kGenerationMask;
}
constexpr uint32_t member_process(uint64_t word) { return static_cast<uint32_t>(word); }
constexpr uint64_t with_state(uint64_t word, MemberState state) {
  return member_word(state, member_generation(word), member_process(word));
}

// ---- Blocks and runs.
enum class BlockState : uint32_t {
  kFree = 0,      // low: generation of the slab; 0 for granules
  kCached = 1,    // in the cache of tag; low as above
  kReserved = 2,  // its program fills it
  kAttached = 3,  // low: sequence. A message if the slot of that sequence names the block; else
                  // tag is about to publish it, or to free it
  kDetached = 5,  // out of its slot; who holds it frees it. low: sequence
  kRetired = 6,   // of a slab that tag dissolves
  // Of granules only:
  kBuilding = 7,     // tag collects a run that starts here
  kFreeing = 8,      // tag gives a run back
  kTail = 9,         // low: distance to the start of the run
  kSlab = 10,        // low: generation of the slab; tag: whose it is, or nobody's
  kDissolving = 11,  // a slab that tag takes apart; low as above
};
constexpr uint64_t block_word(BlockState state, Tag tag, uint32_t low) {
  return uint64_t{static_cast<uint32_t>(state)} << 60 | uint64_t{static_cast<uint32_t>(tag)} << 32 |
         low;
}
constexpr BlockState block_state(uint64_t word) {
  return BlockState{static_cast<uint32_t>(word >> 60)};
}
constexpr Tag block_tag(uint64_t word) { return Tag{static_cast<uint32_t>(word >> 32) & kTagMask}; }
constexpr uint32_t block_low(uint64_t word) { return static_cast<uint32_t>(word); }
// What a fresh file holds is a free granule.
inline constexpr uint64_t kFreeGranule = 0;
constexpr uint64_t free_block_word(uint32_t slab_generation) {
  return block_word(BlockState::kFree, Tag{0}, slab_generation);
}
static_assert(free_block_word(0) == kFreeGranule);

// ---- Slots.
// A message is published from the moment on at which its header line says its sequence: the slot
// word need not be changed for that.
enum class SlotState : uint32_t {
  kEmpty = 0,      // waits for the sequence of this lap
  kClaimed = 1,    // has its sequence; tag writes the header line, or has written it
  kHelped = 2,     // another wrote it in place of tag, which may still be writing the same
  kPublished = 3,  // written, for certain; tag: who said so
};
constexpr uint64_t slot_word(SlotState state, Tag tag, uint32_t lap) {
  return uint64_t{static_cast<uint32_t>(state)} << 60 | uint64_t{static_cast<uint32_t>(tag)} << 32 |
         lap;
}
constexpr uint64_t empty_slot(uint32_t lap) { return slot_word(SlotState::kEmpty, Tag{0}, lap); }
constexpr SlotState slot_state(uint64_t word) {
  return SlotState{static_cast<uint32_t>(word >> 60)};
}
constexpr Tag slot_tag(uint64_t word) { return Tag{static_cast<uint32_t>(word >> 32) & kTagMask}; }
constexpr uint32_t slot_lap(uint64_t word) { return static_cast<uint32_t>(word); }
// How many laps the slot is ahead of the one of `lap`: it was taken out; below 0: still to come.
constexpr int32_t laps_ahead(uint64_t slot_word, uint32_t lap) {
  return static_cast<int32_t>(slot_lap(slot_word) - lap);
}

// ---- Header lines in place of a slot's own.
inline constexpr unsigned kSpareBits = 8;
constexpr uint32_t line_spare(uint32_t word) { return word & ((1U << kSpareBits) - 1); }
// Counts every change, also where the line stays the same: then who was stopped before his change
// of this word is refused for good.
constexpr uint32_t next_line_word(uint32_t word, uint32_t spare) {
  return ((word >> kSpareBits) + 1) << kSpareBits | spare;
}
inline constexpr unsigned kSpareSequenceBits = 64 - kTagBits;
constexpr uint64_t spare_word(Tag tag, uint64_t sequence) {
  return uint64_t{static_cast<uint32_t>(tag)} << kSpareSequenceBits |
         (sequence & ((uint64_t{1} << kSpareSequenceBits) - 1));
}
constexpr Tag spare_tag(uint64_t word) {
  return Tag{static_cast<uint32_t>(word >> kSpareSequenceBits)};
}
constexpr uint64_t spare_sequence(uint64_t word) {
  return word & ((uint64_t{1} << kSpareSequenceBits) - 1);
}

// ---- Deliveries.
enum class DeliveryState : uint32_t {
  kVoid = 0,      // nothing of this group was here yet; tag: the group's generation
  kClaimed = 1,   // tag is busy with it
  kAcked = 2,     // tag has processed it
  kReturned = 3,  // to be delivered again; tag: to whom, or nobody in particular
  kDropped = 4,   // passed without processing
};
inline constexpr unsigned kDeliveryLapBits = 24;
inline constexpr uint32_t kDeliveryLapMask = (uint32_t{1} << kDeliveryLapBits) - 1;
inline constexpr uint32_t kDeliveriesMax = 255;
constexpr uint64_t delivery_word(DeliveryState state, Tag tag, uint32_t lap, uint32_t deliveries) {
  return uint64_t{static_cast<uint32_t>(state)} << 60 | uint64_t{deliveries} << 52 |
         uint64_t{lap & kDeliveryLapMask} << kTagBits | static_cast<uint32_t>(tag);
}
constexpr DeliveryState delivery_state(uint64_t word) {
  return DeliveryState{static_cast<uint32_t>(word >> 60)};
}
constexpr Tag delivery_tag(uint64_t word) { return Tag{static_cast<uint32_t>(word) & kTagMask}; }
constexpr uint32_t delivery_count(uint64_t word) {
  return static_cast<uint32_t>(word >> 52) & kDeliveriesMax;
}
constexpr bool is_of_lap(uint64_t delivery, uint32_t lap) {
  return delivery_state(delivery) != DeliveryState::kVoid &&
         (static_cast<uint32_t>(delivery >> kTagBits) & kDeliveryLapMask) ==
             (lap & kDeliveryLapMask);
}
// A later message has the slot by now: what this word says is not about the one of `lap`.
constexpr bool is_ahead_of(uint64_t delivery, uint32_t lap) {
  const auto found = static_cast<uint32_t>(delivery >> kTagBits) & kDeliveryLapMask;
  const uint32_t ahead = (found - lap) & kDeliveryLapMask;
  return delivery_state(delivery) != DeliveryState::kVoid && ahead != 0 &&
         ahead <= kDeliveryLapMask / 2;
}
// Nobody of the group has the message of this lap, and it may still be there.
constexpr bool is_unclaimed(uint64_t delivery, uint32_t lap) {
  if (is_of_lap(delivery, lap)) return delivery_state(delivery) == DeliveryState::kReturned;
  return !is_ahead_of(delivery, lap);
}
constexpr uint32_t next_delivery(uint64_t delivery, uint32_t lap) {
  if (!is_of_lap(delivery, lap)) return 1;
  const uint32_t count = delivery_count(delivery);
  return count < kDeliveriesMax ? count + 1 : kDeliveriesMax;
}

// ---- Holders.
inline constexpr unsigned kHoldersMax = 48;
constexpr uint64_t holder_word(uint64_t sequence, uint64_t consumers) {
  return (sequence & 0xFFFF) << kHoldersMax | consumers;
}
constexpr uint64_t holders_of(uint64_t word) { return word & ((uint64_t{1} << kHoldersMax) - 1); }
constexpr bool is_held_as(uint64_t word, uint64_t sequence) {
  return word >> kHoldersMax == (sequence & 0xFFFF);
}
constexpr uint64_t holder_bit(Tag consumer) { return uint64_t{1} << place_of(consumer); }

}  // namespace elasticpool
