// Figures of a region.
#include "ring/inspect.h"

#include "ring/groups.h"
#include "ring/slabs.h"

namespace elasticpool {
namespace {

// Bytes of blocks by what their words say.
struct Usage {
  uint64_t used_bytes = 0;
  uint64_t cached_bytes = 0;
  void add(uint64_t word, uint64_t bytes) {
    const BlockState state = block_state(word);
    if (state == BlockState::kCached) cached_bytes += bytes;
    if (state == BlockState::kReserved || state == BlockState::kAttached ||
        state == BlockState::kDetached) {
      used_bytes += bytes;
    }
  }
};

Usage measure(Region& region) {
  Usage usage;
  Runs runs(region, kNobody);
  const Slabs slabs(region, runs, kNobody);
  const uint64_t end = runs.granules();
  for (uint64_t granule = 0; granule < end; ++granule) {
    const uint64_t word = region.granule(granule).word.load_relaxed();
    if (word == kFreeGranule || block_state(word) == BlockState::kTail) continue;
    SlabPlace slab;
    if (slabs.find_slab(granule, &slab)) {
      const BlockSize& size = kBlockSizeTable[slab.size_index];
      for (uint32_t i = 0; i < size.blocks_per_slab; ++i) {
        usage.add(region.block_entry(granule * kLinesPerGranule + i).word.load_relaxed(),
                  size.block_bytes);
      }
      continue;
    }
    BlockPlace place;
    if (slabs.find(kRunBlock | static_cast<uint32_t>(granule), &place)) {
      usage.add(word, place.capacity_bytes);
    }
  }
  return usage;
}

bool has_passed_word(const Region& region, uint32_t group, uint64_t sequence) {
  const uint64_t word = region.delivery(group, region.slot_of(sequence)).load_relaxed();
  const DeliveryState state = delivery_state(word);
  return is_of_lap(word, region.lap_of(sequence)) &&
         (state == DeliveryState::kAcked || state == DeliveryState::kDropped);
}

}  // namespace

void read_stat(Region& region, ep_ring_stat* stat) {
  *stat = {};
  const RegionHeader& header = region.header();
  const Usage usage = measure(region);
  stat->pool_bytes = header.granules.load_relaxed() * kRingGranuleBytes;
  stat->pool_used_bytes = usage.used_bytes;
  stat->pool_cached_bytes = usage.cached_bytes;
  const uint64_t frames = region.geometry().granules_max / kGranulesPerWord;
  for (uint64_t frame = 0; frame < frames; ++frame) {
    if ((region.backed(frame).load_relaxed() >> (frame % 32) & 1) != 0) {
      stat->pool_backed_bytes += kGranulesPerWord * kRingGranuleBytes;
    }
  }
  stat->head_sequence = header.head.load_relaxed();
  stat->tail_sequence = header.tail.load_relaxed();
  stat->deaths = header.deaths.load_relaxed();
  stat->redeliveries = header.redeliveries.load_relaxed();
  stat->corruptions = header.corruptions.load_relaxed();
  stat->slots = static_cast<uint32_t>(region.geometry().slots);
  for (uint32_t place = 0; place < kMembersMax; ++place) {
    if (member_state(region.member(place).state.load_relaxed()) != MemberState::kLive) continue;
    ++(place < kConsumersMax ? stat->consumers : stat->producers);
  }
  for (uint32_t i = 0; i < kGroupsMax; ++i) {
    if (group_state(region.group(i).state.load_relaxed()) == GroupState::kActive) ++stat->groups;
  }
}

bool read_group(Region& region, uint32_t index, ep_ring_group_stat* stat) {
  for (uint32_t i = 0; i < kGroupsMax; ++i) {
    const GroupRecord& group = region.group(i);
    if (group_state(group.state.load_acquire()) != GroupState::kActive) continue;
    if (index-- != 0) continue;
    *stat = {};
    memcpy(stat->name, group.name.get().text, kNameBytes);
    stat->policy = static_cast<ep_ring_policy>(group.policy.load_relaxed());
    stat->dropped = group.dropped.load_relaxed();
    stat->consumers = Membership(group.members.load_relaxed()).count();
    const uint64_t start = group.start_sequence.load_relaxed();
    const uint64_t head = region.header().head.load_relaxed();
    uint64_t sequence = head > start ? head : start;
    const uint64_t tail = region.header().tail.load_relaxed();
    for (uint64_t n = 0; sequence < tail && n < region.geometry().slots; ++sequence, ++n) {
      if (!has_passed_word(region, i, sequence)) ++stat->lag;
    }
    return true;
  }
  return false;
}

bool read_member(Region& region, uint32_t index, ep_ring_member_stat* stat) {
  for (uint32_t place = 0; place < kMembersMax; ++place) {
    const MemberRecord& member = region.member(place);
    const uint64_t word = member.state.load_acquire();
    if (member_state(word) == MemberState::kFree) continue;
    if (index-- != 0) continue;
    *stat = {};
    stat->number = place;
    stat->pid = member_process(word);
    stat->alive = member_state(word) == MemberState::kLive;
    stat->messages = member.messages.load_relaxed();
    stat->checkpoint = kNoCheckpoint;
    if (place >= kConsumersMax) return true;
    stat->acknowledged = member.acknowledged.load_relaxed();
    stat->redelivered = member.redelivered.load_relaxed();
    stat->checkpoint = member.checkpoint.load_relaxed();
    memcpy(stat->name, member.name.get().text, kNameBytes);
    const uint32_t group = member.group.load_relaxed();
    if (group >= kGroupsMax) return true;
    memcpy(stat->group, region.group(group).name.get().text, kNameBytes);
    for (uint64_t slot = 0; slot < region.geometry().slots; ++slot) {
      const uint64_t delivery = region.delivery(group, slot).load_relaxed();
      if (delivery_state(delivery) == DeliveryState::kClaimed &&
          delivery_tag(delivery) == tag_at(place, word)) {
        ++stat->unacknowledged;
      }
    }
    return true;
  }
  return false;
}

bool has_live_members(const Region& region) {
  for (uint32_t place = 0; place < kMembersMax; ++place) {
    if (member_state(region.member(place).state.load_acquire()) == MemberState::kLive) return true;
  }
  return false;
}

ep_ring_error peek(Region& region, uint64_t sequence, ep_ring_message* message) {
  if (sequence < kFirstSequence) return EP_RING_GONE;
  const uint64_t slot = region.slot_of(sequence);
  const uint64_t word = region.slot_word(slot).load_ordered();
  const int32_t ahead = laps_ahead(word, region.lap_of(sequence));
  if (ahead > 0) return EP_RING_GONE;
  if (ahead < 0 || slot_state(word) == SlotState::kEmpty) return EP_RING_EMPTY;
  MessageHeader header;
  if (!open_header(region.line(slot), sequence, &header)) {
    // The slot is claimed before the line is written.
    const bool is_written = region.line(slot).words[0].load_acquire() == sequence;
    if (slot_state(word) != SlotState::kPublished && !is_written) return EP_RING_EMPTY;
    // It may have gone while it was read.
    return region.slot_word(slot).load_ordered() == word ? EP_RING_CORRUPT : EP_RING_GONE;
  }
  if (header.offset >= region.payload_bytes_max() ||
      header.size_bytes > region.payload_bytes_max() - header.offset) {
    return EP_RING_CORRUPT;
  }
  *message = {region.payload(header.offset),
              header.size_bytes,
              sequence,
              header.key,
              header.timestamp_ns,
              header.tag,
              header.producer,
              0,
              header.block};
  return EP_RING_OK;
}

}  // namespace elasticpool
