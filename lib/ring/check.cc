// A check of every word of a region at rest.
#include <cinttypes>
#include <cstdarg>
#include <cstdio>

#include "ring/groups.h"
#include "ring/inspect.h"
#include "ring/slabs.h"
#include "ring/sweep.h"

namespace elasticpool {
namespace {

class Check {
 public:
  Check(Region& region, ReportLine report, void* context)
      : region_(region),
        runs_(region, kNobody),
        slabs_(region, runs_, kNobody),
        report_(report),
        context_(context),
        near_(reference_sequence(region)) {}

  unsigned run() {
    check_members();
    check_slots();
    check_granules();
    return faults_;
  }

 private:
  void check_members();
  void check_slots();
  void check_slot(uint64_t slot, uint64_t word);
  void check_deliveries(uint64_t sequence);
  void check_granules();
  void check_block(uint32_t block);
  void check_hints(const SlabPlace& slab);
  bool is_known(Tag tag) const;
  __attribute__((format(printf, 2, 3))) void fault(const char* format, ...);

  Region& region_;
  Runs runs_;
  Slabs slabs_;
  ReportLine report_;
  void* context_;
  const uint64_t near_;
  bool has_members_ = false;
  unsigned faults_ = 0;
};

void Check::fault(const char* format, ...) {
  ++faults_;
  if (report_ == nullptr) return;
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  report_(context_, line);
}

// A handle that is open or fenced has that tag: whatever carries it will be given back.
bool Check::is_known(Tag tag) const {
  if (place_of(tag) >= kMembersMax) return false;
  const uint64_t word = region_.member(place_of(tag)).state.load_acquire();
  const MemberState state = member_state(word);
  return (state == MemberState::kLive || state == MemberState::kFenced) &&
         member_generation(word) == generation_of(tag);
}

void Check::check_members() {
  for (uint32_t place = 0; place < kMembersMax; ++place) {
    const uint64_t word = region_.member(place).state.load_acquire();
    const auto state = static_cast<uint32_t>(member_state(word));
    if (state > static_cast<uint32_t>(MemberState::kRejoining)) {
      fault("member %" PRIu32 ": state %" PRIu32 " is none", place, state);
    }
    has_members_ = has_members_ || member_state(word) == MemberState::kLive ||
                   member_state(word) == MemberState::kFenced;
    const bool has_group = place < kConsumersMax && member_state(word) == MemberState::kLive;
    if (has_group && region_.member(place).group.load_relaxed() >= kGroupsMax) {
      fault("member %" PRIu32 ": its group is none", place);
    }
  }
  for (uint32_t i = 0; i < kGroupsMax; ++i) {
    const auto state = static_cast<uint32_t>(group_state(region_.group(i).state.load_acquire()));
    if (state > static_cast<uint32_t>(GroupState::kAbandoned)) {
      fault("group %" PRIu32 ": state %" PRIu32 " is none", i, state);
    }
  }
}

void Check::check_deliveries(uint64_t sequence) {
  for (uint32_t i = 0; i < kGroupsMax; ++i) {
    if (group_state(region_.group(i).state.load_acquire()) != GroupState::kActive) continue;
    const uint64_t word = region_.delivery(i, region_.slot_of(sequence)).load_acquire();
    if (is_of_lap(word, region_.lap_of(sequence)) &&
        delivery_state(word) == DeliveryState::kClaimed && !is_known(delivery_tag(word))) {
      fault("sequence %" PRIu64 ": with a consumer of group %" PRIu32 " that is not there",
            sequence, i);
    }
  }
}

void Check::check_slot(uint64_t slot, uint64_t word) {
  const uint64_t sequence = region_.sequence_of(slot, slot_lap(word), near_);
  const bool is_written = region_.line(slot).words[0].load_acquire() == sequence;
  if (slot_state(word) == SlotState::kClaimed && !is_written) {
    if (!is_known(slot_tag(word))) {
      fault("slot %" PRIu64 ": in work by a member that is not there", slot);
    }
    return;
  }
  MessageHeader header;
  if (!open_header(region_.line(slot), sequence, &header)) {
    fault("sequence %" PRIu64 ": its header is damaged", sequence);
    return;
  }
  BlockPlace place;
  if (!slabs_.find(header.block, &place) || place.offset != header.offset ||
      header.size_bytes > place.capacity_bytes) {
    fault("sequence %" PRIu64 ": its block is none", sequence);
    return;
  }
  const uint64_t block = place.entry->word.load_acquire();
  if (block_state(block) != BlockState::kAttached ||
      block_low(block) != static_cast<uint32_t>(sequence)) {
    fault("sequence %" PRIu64 ": its block is not attached to it", sequence);
  }
  if ((header.flags & kPayloadChecked) != 0 &&
      crc32c(region_.payload(header.offset), header.size_bytes) != header.payload_checksum) {
    fault("sequence %" PRIu64 ": its payload is damaged", sequence);
  }
  check_deliveries(sequence);
}

void Check::check_slots() {
  for (uint64_t slot = 0; slot < region_.geometry().slots; ++slot) {
    const uint64_t word = region_.slot_word(slot).load_acquire();
    if (slot_state(word) == SlotState::kEmpty) continue;
    if (static_cast<uint32_t>(slot_state(word)) > static_cast<uint32_t>(SlotState::kPublished)) {
      fault("slot %" PRIu64 ": its state is none", slot);
      continue;
    }
    check_slot(slot, word);
  }
}

void Check::check_block(uint32_t block) {
  BlockPlace place;
  if (!slabs_.find(block, &place)) {
    fault("block %" PRIx32 ": lies in no slab or run", block);
    return;
  }
  const uint64_t word = place.entry->word.load_acquire();
  switch (block_state(word)) {
    case BlockState::kFree:
      if (!place.is_run && block_low(word) != place.slab_generation) {
        fault("block %" PRIx32 ": free of a slab that is gone", block);
      }
      return;
    case BlockState::kCached:
    case BlockState::kReserved:
      if (!is_known(block_tag(word))) fault("block %" PRIx32 ": its owner is gone", block);
      return;
    case BlockState::kAttached: {
      const uint64_t slot = region_.slot_of(block_low(word));
      const uint64_t slot_word = region_.slot_word(slot).load_acquire();
      const uint64_t sequence = region_.sequence_of(slot, slot_lap(slot_word), near_);
      MessageHeader header;
      const bool is_message =
          slot_state(slot_word) != SlotState::kEmpty &&
          static_cast<uint32_t>(sequence) == block_low(word) &&
          (slot_state(slot_word) == SlotState::kClaimed ||
           (open_header(region_.line(slot), sequence, &header) && header.block == block));
      if (!is_message && !is_known(block_tag(word))) {
        fault("block %" PRIx32 ": attached to a sequence that has gone", block);
      }
      return;
    }
    case BlockState::kDetached:
      if (holders_of(place.entry->holders.load_acquire()) == 0) {
        fault("block %" PRIx32 ": detached, and held by nobody", block);
      }
      return;
    default:
      if (!is_known(block_tag(word))) fault("block %" PRIx32 ": half changed", block);
      return;
  }
}

// Where nobody is at work every free block can be found.
void Check::check_hints(const SlabPlace& slab) {
  if (has_members_) return;
  const uint64_t first = slab.first * kLinesPerGranule;
  bool any = false;
  for (uint32_t i = 0; i < kBlockSizeTable[slab.size_index].blocks_per_slab; ++i) {
    const uint64_t word = region_.block_entry(first + i).word.load_acquire();
    if (word != free_block_word(slab.generation)) continue;
    any = true;
    if ((region_.slab_hint(slab.first + i / 64).load_acquire() >> (i % 64) & 1) == 0) {
      fault("block %" PRIx64 ": free, and nobody would find it", first + i);
    }
  }
  const uint64_t hint = region_.size_hint(slab.size_index, slab.first / 64).load_acquire();
  if (any && (hint >> (slab.first % 64) & 1) == 0) {
    fault("slab at %" PRIu64 ": has free blocks, and nobody would find it", slab.first);
  }
}

void Check::check_granules() {
  const uint64_t end = runs_.granules();
  uint64_t granule = 0;
  while (granule < end) {
    const uint64_t word = region_.granule(granule).word.load_acquire();
    if (word == kFreeGranule) {
      const uint32_t hint = region_.free_hint(granule / kGranulesPerWord).load_acquire();
      if (!has_members_ && (hint >> (granule % kGranulesPerWord) & 1) == 0) {
        fault("granule %" PRIu64 ": free, and nobody would find it", granule);
      }
      ++granule;
      continue;
    }
    if (block_state(word) == BlockState::kTail) {
      fault("granule %" PRIu64 ": behind a run that is not there", granule++);
      continue;
    }
    const uint64_t length = runs_.length_of(granule);
    SlabPlace slab;
    if (slabs_.find_slab(granule, &slab)) {
      const BlockSize& size = kBlockSizeTable[slab.size_index];
      if (length != size.slab_granules) fault("slab at %" PRIu64 ": its length is wrong", granule);
      for (uint32_t i = 0; i < size.blocks_per_slab; ++i) {
        check_block(static_cast<uint32_t>(granule * kLinesPerGranule + i));
      }
      check_hints(slab);
    } else {
      check_block(kRunBlock | static_cast<uint32_t>(granule));
    }
    granule += length;
  }
}

}  // namespace

unsigned check_region(Region& region, ReportLine report, void* context) {
  return Check(region, report, context).run();
}

}  // namespace elasticpool
