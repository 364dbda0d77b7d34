// The durable record of a file region: written at checkpoints, read after a power cut.
#include "ring/durable.h"

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "ring/region_lock.h"
#include "ring/slabs.h"

namespace elasticpool {
namespace {

uint32_t record_checksum(const DurableRecord& record) {
  return crc32c(&record, offsetof(DurableRecord, checksum));
}

// The newer whole one; false: there is none.
bool read_newest(const Region& region, DurableRecord* newest) {
  bool any = false;
  for (unsigned i = 0; i < 2; ++i) {
    DurableRecord record;
    memcpy(&record, region.durable(i), sizeof(record));
    if (record.magic != kDurableMagic || record.checksum != record_checksum(record)) continue;
    if (any && record.number <= newest->number) continue;
    *newest = record;
    any = true;
  }
  return any;
}

void describe(const Region& region, const MemberRecord* changed, uint64_t checkpoint,
              DurableRecord* record) {
  record->is_strict = 1;
  for (uint32_t i = 0; i < kGroupsMax; ++i) {
    const GroupRecord& group = region.group(i);
    DurableGroup& to = record->group[i];
    if (group_state(group.state.load_ordered()) != GroupState::kActive) continue;
    memcpy(to.name, group.name.get().text, kNameBytes);
    to.start_sequence = group.start_sequence.load_relaxed();
    to.policy = group.policy.load_relaxed();
    to.is_active = 1;
    if (to.policy != EP_RING_BLOCK) record->is_strict = 0;
  }
  for (uint32_t place = 0; place < kConsumersMax; ++place) {
    const MemberRecord& member = region.member(place);
    DurableConsumer& to = record->consumer[place];
    to.group = kGroupsMax;
    const uint64_t word = member.state.load_ordered();
    if (member_state(word) == MemberState::kFree) continue;
    const uint64_t own = &member == changed ? checkpoint : member.checkpoint.load_relaxed();
    // What it acknowledges goes at once.
    if (own == kNoCheckpoint) record->is_strict = 0;
    if (own == kNoCheckpoint) continue;
    memcpy(to.name, member.name.get().text, kNameBytes);
    to.checkpoint = own;
    to.group = member.group.load_relaxed();
    to.generation = member_generation(word);
  }
}

// What was whole at the record, bound by bound; `used` has a bit for each granule that is taken.
class Rebuild {
 public:
  Rebuild(Region& region, const DurableRecord& record)
      : region_(region), record_(record), runs_(region, kNobody), slabs_(region, runs_, kNobody) {}

  ep_ring_error run();

 private:
  struct Kept {
    uint64_t sequence;
    uint32_t block;
  };
  bool is_whole(uint64_t sequence, MessageHeader* header, BlockPlace* place) const;
  ep_ring_error collect();
  void reset_pool();
  void reset_slots();
  bool is_kept(uint64_t sequence) const;
  void reset_members();
  uint64_t kept_length(uint64_t granule);
  uint64_t highest_checkpoint() const;
  uint64_t start_after(uint32_t group) const;
  uint64_t lowest_start() const;
  bool are_blocks_right() const;

  Region& region_;
  const DurableRecord& record_;
  Runs runs_;
  Slabs slabs_;
  Kept* kept_ = nullptr;
  uint64_t kept_count_ = 0;
  uint64_t end_ = 0;  // behind the last message that is kept
};

bool Rebuild::is_whole(uint64_t sequence, MessageHeader* header, BlockPlace* place) const {
  return open_header(region_.line_at(region_.slot_of(sequence)), sequence, header) &&
         slabs_.find(header->block, place) && place->offset == header->offset &&
         header->size_bytes <= place->capacity_bytes && (header->flags & kPayloadChecked) != 0 &&
         crc32c(region_.payload(header->offset), header->size_bytes) == header->payload_checksum;
}

uint64_t Rebuild::highest_checkpoint() const {
  uint64_t highest = 0;
  for (const DurableConsumer& consumer : record_.consumer) {
    if (consumer.group < kGroupsMax && consumer.checkpoint > highest) {
      highest = consumer.checkpoint;
    }
  }
  return highest;
}

// The first message that some group still wants; without groups, the oldest that was held.
uint64_t Rebuild::lowest_start() const {
  uint64_t lowest = UINT64_MAX;
  for (uint32_t i = 0; i < kGroupsMax; ++i) {
    if (record_.group[i].is_active == 0) continue;
    const uint64_t start = start_after(i);
    if (start < lowest) lowest = start;
  }
  return lowest == UINT64_MAX || lowest < record_.head ? record_.head : lowest;
}

ep_ring_error Rebuild::collect() {
  const uint64_t slots = region_.geometry().slots;
  if (record_.tail - record_.head > slots) return EP_RING_CORRUPT;
  kept_ = static_cast<Kept*>(malloc(slots * sizeof(Kept)));
  if (kept_ == nullptr) return EP_RING_NO_MEMORY;
  const uint64_t needed_from = highest_checkpoint() + 1;
  // What every group had passed may have lost its block to another, and still prove itself.
  const uint64_t first = lowest_start();
  end_ = record_.tail;
  // Behind the record's tail a message counts as long as it proves itself, and all before it did.
  for (uint64_t sequence = first; sequence < record_.head + slots; ++sequence) {
    MessageHeader header;
    BlockPlace place;
    if (is_whole(sequence, &header, &place)) {
      kept_[kept_count_++] = {sequence, header.block};
      if (sequence >= end_) end_ = sequence + 1;
      continue;
    }
    if (sequence >= record_.tail) break;
    // Its block may have gone to another since; behind every checkpoint it may not.
    if (record_.is_strict != 0 && sequence >= needed_from) return EP_RING_CORRUPT;
  }
  return EP_RING_OK;
}

bool Rebuild::is_kept(uint64_t sequence) const {
  uint64_t low = 0;
  uint64_t high = kept_count_;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (kept_[middle].sequence < sequence) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < kept_count_ && kept_[low].sequence == sequence;
}

void Rebuild::reset_slots() {
  const uint64_t slots = region_.geometry().slots;
  // The lap of an empty slot is that of the first sequence from end_ on that falls into it.
  for (uint64_t i = 0; i < slots; ++i) {
    const uint64_t sequence = end_ + i;
    const uint64_t slot = region_.slot_of(sequence);
    region_.line_map(slot).store_relaxed(0);
    region_.slot_word(slot).store_relaxed(empty_slot(region_.lap_of(sequence)));
    // Consumers look at lines: what is not kept must not look like a message to come.
    SharedU64& line_sequence = region_.line_at(slot).words[0];
    if (!is_kept(line_sequence.load_relaxed())) line_sequence.store_relaxed(0);
  }
  for (uint32_t i = 0; i < kMembersMax; ++i) region_.spare(i).store_relaxed(0);
  for (uint64_t i = 0; i < kept_count_; ++i) {
    const uint64_t sequence = kept_[i].sequence;
    region_.slot_word(region_.slot_of(sequence))
        .store_relaxed(slot_word(SlotState::kPublished, kNobody, region_.lap_of(sequence)));
  }
  region_.header().head.store_relaxed(kept_count_ != 0 ? kept_[0].sequence : end_);
  region_.header().tail.store_relaxed(end_);
}

// Every block is free but those of messages; slabs without any are dissolved.
void Rebuild::reset_pool() {
  const uint64_t granules = region_.geometry().granules_max;
  for (uint64_t i = 0; i < kept_count_; ++i) {
    BlockPlace place;
    if (!slabs_.find(kept_[i].block, &place)) continue;
    place.entry->word.store_relaxed(
        block_word(BlockState::kAttached, kNobody, static_cast<uint32_t>(kept_[i].sequence)));
    place.entry->holders.store_relaxed(holder_word(kept_[i].sequence, 0));
  }
  for (uint64_t frame = 0; frame < granules / kGranulesPerWord; ++frame) {
    region_.free_hint(frame).store_relaxed(0);
    region_.backed(frame).store_relaxed(0);
  }
  for (uint64_t word = 0; word < granules; ++word) region_.slab_hint(word).store_relaxed(0);
  region_.header().granules.store_relaxed(record_.granules < granules ? record_.granules
                                                                      : granules);
  const uint64_t end = runs_.granules();
  for (uint64_t granule = 0; granule < end;) {
    const uint64_t length = kept_length(granule);
    for (uint64_t i = 1; i < length && granule + i < end; ++i) {
      region_.granule(granule + i)
          .word.store_relaxed(block_word(BlockState::kTail, kNobody, static_cast<uint32_t>(i)));
    }
    granule += length;
    if (length != 0) continue;
    region_.granule(granule).word.store_relaxed(kFreeGranule);
    region_.free_hint(granule / kGranulesPerWord)
        .set_bits(uint32_t{1} << (granule % kGranulesPerWord));
    ++granule;
  }
}

// Of the run or slab that starts here; 0: nothing of a message lies in it.
uint64_t Rebuild::kept_length(uint64_t granule) {
  const uint64_t word = region_.granule(granule).word.load_relaxed();
  const auto is_kept = [this](uint64_t entry_word, uint32_t block) {
    for (uint64_t i = 0; i < kept_count_; ++i) {
      if (kept_[i].block == block) return entry_word != 0;
    }
    return false;
  };
  if (block_state(word) == BlockState::kAttached) {
    const uint32_t length = region_.granule_info(granule).load_relaxed();
    return is_kept(word, kRunBlock | static_cast<uint32_t>(granule)) ? length : 0;
  }
  SlabPlace slab;
  if (!slabs_.find_slab(granule, &slab)) return 0;
  bool any = false;
  for (uint32_t i = 0; i < kBlockSizeTable[slab.size_index].blocks_per_slab; ++i) {
    const auto block = static_cast<uint32_t>(granule * kLinesPerGranule + i);
    SharedU64& entry = region_.block_entry(block).word;
    const bool kept = block_state(entry.load_relaxed()) == BlockState::kAttached &&
                      is_kept(entry.load_relaxed(), block);
    any = any || kept;
    if (!kept) entry.store_relaxed(free_block_word(slab.generation));
  }
  if (!any) return 0;
  region_.granule(granule).word.store_relaxed(
      block_word(BlockState::kSlab, kNobody, slab.generation));
  slabs_.restore_hints(slab);
  return kBlockSizeTable[slab.size_index].slab_granules;
}

bool Rebuild::are_blocks_right() const {
  for (uint64_t i = 0; i < kept_count_; ++i) {
    BlockPlace place;
    if (!slabs_.find(kept_[i].block, &place)) return false;
    const uint64_t word = place.entry->word.load_relaxed();
    if (block_state(word) != BlockState::kAttached ||
        block_low(word) != static_cast<uint32_t>(kept_[i].sequence)) {
      return false;
    }
  }
  return true;
}

// What all consumers of a group had stored is not delivered to it again.
uint64_t Rebuild::start_after(uint32_t group) const {
  uint64_t lowest = UINT64_MAX;
  for (const DurableConsumer& consumer : record_.consumer) {
    if (consumer.group == group && consumer.checkpoint < lowest) lowest = consumer.checkpoint;
  }
  const uint64_t start = record_.group[group].start_sequence;
  return lowest != UINT64_MAX && lowest + 1 > start ? lowest + 1 : start;
}

void Rebuild::reset_members() {
  for (uint32_t i = 0; i < kGroupsMax; ++i) {
    GroupRecord& group = region_.group(i);
    const DurableGroup& from = record_.group[i];
    const uint32_t generation = group_generation(group.state.load_relaxed()) + 1;
    group.members.store_relaxed(0);
    group.sleepers.store_relaxed(0);
    NameText name;
    memcpy(name.text, from.name, kNameBytes);
    group.name.set(name);
    group.policy.store_relaxed(from.policy);
    group.start_sequence.store_relaxed(start_after(i));
    const bool is_active =
        from.is_active != 0 &&
        region_.back_deliveries(i, region_.geometry().slots * sizeof(SharedU64)) == EP_RING_OK;
    for (uint64_t slot = 0; is_active && slot < region_.geometry().slots; ++slot) {
      region_.delivery(i, slot).store_relaxed(
          delivery_word(DeliveryState::kVoid, Tag{generation & kTagMask}, 0, 0));
    }
    group.state.store_relaxed(
        group_word(is_active ? GroupState::kActive : GroupState::kFree, generation));
  }
  for (uint32_t place = 0; place < kMembersMax; ++place) {
    MemberRecord& member = region_.member(place);
    const uint32_t generation = member_generation(member.state.load_relaxed()) + 1;
    member.checkpoint.store_relaxed(kNoCheckpoint);
    MemberState state = MemberState::kFree;
    if (place < kConsumersMax && record_.consumer[place].group < kGroupsMax) {
      const DurableConsumer& from = record_.consumer[place];
      NameText name;
      memcpy(name.text, from.name, kNameBytes);
      member.name.set(name);
      member.group.store_relaxed(from.group);
      member.group_generation.store_relaxed(
          group_generation(region_.group(from.group).state.load_relaxed()));
      member.checkpoint.store_relaxed(from.checkpoint);
      state = MemberState::kDormant;
    }
    member.state.store_relaxed(member_word(state, generation, 0));
  }
}

ep_ring_error Rebuild::run() {
  ep_ring_error error = collect();
  if (error == EP_RING_OK) {
    reset_pool();
    // Two that were proved and overlap: then one of the proofs was none.
    if (!are_blocks_right()) error = EP_RING_CORRUPT;
  }
  if (error == EP_RING_OK) {
    reset_slots();
    reset_members();
    error = region_.sync();
  }
  free(kept_);
  return error;
}

}  // namespace

ep_ring_error write_first_record(Region& region) {
  DurableRecord first{};
  first.magic = kDurableMagic;
  first.number = 1;
  first.head = kFirstSequence;
  first.tail = kFirstSequence;
  first.granules = region.header().granules.load_relaxed();
  for (DurableConsumer& consumer : first.consumer) consumer.group = kGroupsMax;
  first.checksum = record_checksum(first);
  memcpy(region.durable(1), &first, sizeof(first));
  return region.sync(0, region.geometry().fixed_end);
}

ep_ring_error write_durable_record(Member& me, const MemberRecord& record, uint64_t checkpoint) {
  Region& region = *me.region;
  const RegionLock lock(me, region.header().durable_lock);
  if (!lock.is_held()) return EP_RING_FENCED;
  DurableRecord next{};
  DurableRecord last{};
  next.magic = kDurableMagic;
  next.number = read_newest(region, &last) ? last.number + 1 : 1;
  next.head = region.header().head.load_ordered();
  // Late by what publishers have in their batches: the head may be ahead of it.
  next.tail = region.header().tail.load_ordered();
  if (next.tail < next.head) next.tail = next.head;
  next.granules = region.header().granules.load_relaxed();
  describe(region, &record, checkpoint, &next);
  next.checksum = record_checksum(next);
  ep_ring_error error = region.sync();
  if (error != EP_RING_OK) return error;
  ring_step();
  DurableRecord* place = region.durable(next.number % 2);
  memcpy(place, &next, sizeof(next));
  error = region.sync(region.geometry().durable, 2 * kDurableRecordBytes);
  return error;
}

ep_ring_error recover_after_power_cut(Region& region) {
  DurableRecord record;
  if (!read_newest(region, &record)) return EP_RING_CORRUPT;
  return Rebuild(region, record).run();
}

}  // namespace elasticpool
