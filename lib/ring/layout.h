// What lies where in a region.
//
// Sizes and offsets only; all links in a region are indices and offsets.
//
// Order       header page, durable record, members, groups, line map, spare lines, slot words,
//             header lines, granule tables, hints, delivery words, block words, payloads.
// Trust       RegionConfig is written once, protected by a checksum, and copied at attach; nobody
//             reads it from the region again. All else is checked where it is used.
// Invariants  a fresh file, all zero but for the config and slot 0, is an empty ring: sequence 1
//             goes into slot 1 of lap 0. One writer a cache line where it is written often.
// Alignment   tables start at pages, payloads at 2 MiB: so payloads can be mapped read-only, and of
//             huge pages.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bits.h"
#include "ring/block_sizes.h"
#include "ring/shared.h"
#include "ring/shared_name.h"
#include "ring/words.h"

namespace elasticpool {

inline constexpr uint64_t kRegionMagic = 0x31474E4952504545;  // "EEPRING1", as bytes in memory
inline constexpr uint32_t kRegionVersion = 3;
inline constexpr uint64_t kFirstSequence = 1;

inline constexpr uint32_t kConsumersMax = kHoldersMax;
inline constexpr uint32_t kMembersMax = 128;  // consumers have the first places
inline constexpr uint32_t kGroupsMax = 16;
inline constexpr uint32_t kSlotsMin = 64;
inline constexpr uint32_t kSlotsMax = 1U << 24;
inline constexpr uint64_t kGranulesMax = uint64_t{1} << 25;  // 128 GiB
inline constexpr uint32_t kGranulesPerWord = 32;             // FrameBits
static_assert(kConsumersMax < kMembersMax && kMembersMax < (1U << kPlaceBits));
static_assert(kMembersMax < (1U << kSpareBits));

// A block is named by the word that says whose it is: block i of the slab that starts at granule g
// by 64 g + i, a run of granules by its first, with this bit.
inline constexpr uint32_t kRunBlock = 0x80000000;
inline constexpr uint32_t kNoBlock = UINT32_MAX;

struct RegionConfig {
  uint64_t magic;
  uint32_t version;
  uint32_t layout;  // layout_number() of the build that made it
  uint64_t pool_bytes_max;
  uint64_t growth_bytes;
  uint32_t slots;
  uint32_t flags;
  uint32_t lease_ms;
  uint32_t is_durable;  // a file that outlives its processes
  uint32_t reserved;
  uint32_t checksum;  // of all above
};

// ---- A message's header: one cache line, of which the sequence is stored last.
inline constexpr uint16_t kMessageMagic = 0xE9A5;
inline constexpr uint16_t kPayloadChecked = 1;
struct MessageHeader {
  uint64_t sequence;
  uint16_t magic;
  uint16_t flags;
  uint32_t tag;
  uint64_t offset;  // of the payload, from the start of all payloads
  uint64_t size_bytes;
  uint64_t timestamp_ns;
  uint64_t key;
  uint32_t block;
  uint16_t producer;    // place in the registry
  uint16_t references;  // groups that had to pass it when it was published
  uint32_t payload_checksum;
  uint32_t checksum;  // CRC32C of all but itself, the sequence last
};
inline constexpr size_t kHeaderWords = sizeof(MessageHeader) / sizeof(uint64_t);
inline constexpr size_t kHeaderKeyWord = offsetof(MessageHeader, key) / sizeof(uint64_t);
static_assert(sizeof(MessageHeader) == kLineBytes);

struct alignas(kLineBytes) SharedLine {
  SharedU64 words[kHeaderWords];
};

struct alignas(kLineBytes) MemberRecord {
  // Who it is: written when it joins.
  SharedU64 state;  // member_word()
  SharedU32 group;  // of a consumer
  SharedU32 group_generation;
  SharedU64 start_time;     // of the process, in ticks since boot
  SharedU64 pid_namespace;  // in which pid means something
  SharedName name;
  // What it does: written by it alone.
  alignas(kLineBytes) SharedU64 lease_until_ns;
  SharedU64 helping;   // sequence whose header line it writes for another; 0: none
  SharedU32 sweeping;  // place that it sweeps or takes a message from, plus 1: nobody takes that
  SharedU32 emptying_block;  // which it frees when it has emptied the slot of the next
  SharedU64 emptying;
  SharedU64 settled;  // of a consumer: where its group may begin to look (settled.h)
  SharedU64 messages;
  SharedU64 acknowledged;
  SharedU64 redelivered;
  // What others read often.
  alignas(kLineBytes) SharedU64 checkpoint;  // kNoCheckpoint: none
  SharedU32 leave_wanted;                    // leave_mark() of who shall leave
  SharedU32 wake_count;                      // a sleeping consumer waits on it
  SharedU64 dropping;                        // sequence that it takes from a consumer; 0: none
  SharedU64 settled_at;                      // the group's count of returns for which that holds
  // The message that it is publishing: whoever finds a slot claimed by it can finish that.
  alignas(kLineBytes) SharedLine intent;
};
inline constexpr uint64_t kNoCheckpoint = UINT64_MAX;
static_assert(sizeof(MemberRecord) == 4 * kLineBytes);

// kAbandoned: its creator was fenced while it joined, and may still be writing.
enum class GroupState : uint32_t { kFree = 0, kJoining = 1, kActive = 2, kAbandoned = 3 };
struct alignas(kLineBytes) GroupRecord {
  SharedU64 state;  // group_word()
  SharedU32 policy;
  SharedU32 creator;  // tag of the member that fills it in
  SharedU64 start_sequence;
  SharedU64 padding;
  SharedName name;
  // What makes its consumers look at everything again.
  alignas(kLineBytes) SharedU32 epoch;
  SharedU64 members;                       // bit i: the consumer at place i
  SharedU64 returns;                       // counts times that messages came up again
  alignas(kLineBytes) SharedU64 sleepers;  // members that sleep, by place
  alignas(kLineBytes) SharedU64 dropped;
  SharedU64 redeliveries;
  SharedU64 taken_away;  // counts messages dropped under a consumer's hands, or about to be
};
static_assert(sizeof(GroupRecord) == 4 * kLineBytes);
// state 4 | joins 28 | generation 32. Joins are counted, so that who removes the group is refused
// where somebody joined since he saw it empty.
constexpr uint64_t group_word(GroupState state, uint32_t generation) {
  return uint64_t{static_cast<uint32_t>(state)} << 60 | generation;
}
constexpr GroupState group_state(uint64_t word) {
  return GroupState{static_cast<uint32_t>(word >> 60)};
}
constexpr uint32_t group_generation(uint64_t word) { return static_cast<uint32_t>(word); }
inline constexpr uint64_t kGroupJoin = uint64_t{1} << 32;
inline constexpr uint64_t kGroupJoins = 0xFFFFFFF * kGroupJoin;
constexpr uint64_t joined_word(uint64_t word) {
  return (word & ~kGroupJoins) | ((word + kGroupJoin) & kGroupJoins);
}
constexpr bool is_same_group(uint64_t word, uint64_t other) {
  return ((word ^ other) & ~kGroupJoins) == 0;
}

struct alignas(kLineBytes) RegionHeader {
  RegionConfig config;
  alignas(kLineBytes) SharedU32 is_ready;
  SharedU64 granules;                  // of the pool, now
  SharedU64 groups_epoch;              // counts groups that come
  alignas(kLineBytes) SharedU64 head;  // hint: nothing before it is held in a slot
  SharedU32 head_turn;                 // turn.h: who takes messages out
  alignas(kLineBytes) SharedU64 tail;  // hint: everything before it is claimed
  SharedU32 tail_turn;                 // the same: who publishes a batch
  // Publishers that sleep until there is room.
  alignas(kLineBytes) SharedU32 space_count;
  SharedU32 space_waiters;
  alignas(kLineBytes) SharedU64 watched_at_ns;
  SharedU32 group_lock;    // region_lock.h
  SharedU32 durable_lock;  // the same
  SharedU32 slab_generation;
  SharedU32 boot;  // of the machine's run in which it was attached last
  SharedU64 deaths;
  SharedU64 redeliveries;
  SharedU64 corruptions;
};
inline constexpr size_t kHeaderBytes = 4096;
static_assert(sizeof(RegionHeader) <= kHeaderBytes);

// Who owns a block or run, and who keeps a message in it.
struct alignas(16) BlockEntry {
  SharedU64 word;
  SharedU64 holders;
};

// Of a run's first granule: what it is, valid from kBuilding on.
constexpr uint32_t slab_info(size_t size_index, size_t granules) {
  return 0x80000000U | static_cast<uint32_t>(size_index << 16) | static_cast<uint32_t>(granules);
}
constexpr bool is_slab_info(uint32_t info) { return (info & 0x80000000U) != 0; }
constexpr size_t slab_info_index(uint32_t info) { return info >> 16 & 0x7FFF; }

// The durable record of a file region, twice: the newer whole one counts.
struct DurableConsumer {
  char name[kNameBytes];
  uint64_t checkpoint;
  uint32_t group;  // index; kGroupsMax: no consumer
  uint32_t generation;
};
struct DurableGroup {
  char name[kNameBytes];
  uint64_t start_sequence;
  uint32_t policy;
  uint32_t is_active;
};
struct DurableRecord {
  uint64_t magic;
  uint64_t number;  // counts records; the first is 1
  uint64_t head;    // everything from here up to tail was whole and in the file
  uint64_t tail;
  uint64_t granules;
  DurableConsumer consumer[kConsumersMax];  // by place
  DurableGroup group[kGroupsMax];
  uint32_t is_strict;  // nothing behind the checkpoints may have gone
  uint32_t checksum;   // of all before it
};
inline constexpr uint64_t kDurableMagic = 0x3144524F43525045;
inline constexpr size_t kDurableRecordBytes = 4096;
static_assert(sizeof(DurableRecord) <= kDurableRecordBytes);

// Changes whenever a table above changes its form.
constexpr uint32_t layout_number() {
  return static_cast<uint32_t>(sizeof(MemberRecord) + 7 * sizeof(GroupRecord) +
                               31 * sizeof(RegionHeader) + 101 * sizeof(DurableRecord) +
                               uint64_t{1009} * kMembersMax + uint64_t{10007} * kGroupsMax +
                               100003 * kBlockSizes + 1000003 * kRingGranuleBytes);
}

// Offsets of the tables from the start of the region.
struct RegionGeometry {
  uint64_t slots;
  uint64_t granules_max;
  uint64_t durable, members, groups, line_map, spares, slot_words, lines, granule_entries,
      granule_info, free_hints, backed, size_hints, slab_hints;
  uint64_t fixed_end;  // what lies before is backed at creation
  uint64_t deliveries, block_entries, payloads;
  uint64_t end;
};

inline constexpr uint64_t kPayloadAlignBytes = uint64_t{2} << 20;

constexpr RegionGeometry make_geometry(uint64_t slots, uint64_t pool_bytes_max) {
  RegionGeometry g{};
  g.slots = slots;
  g.granules_max = round_up(divide_up(pool_bytes_max, kRingGranuleBytes), 64);
  uint64_t at = kHeaderBytes;
  const auto table = [&at](uint64_t bytes) {
    const uint64_t start = at;
    at = round_up(at + bytes, kRingGranuleBytes);
    return start;
  };
  g.durable = table(2 * kDurableRecordBytes);
  g.members = table(kMembersMax * sizeof(MemberRecord));
  g.groups = table(kGroupsMax * sizeof(GroupRecord));
  g.line_map = table(slots * sizeof(SharedU32));
  g.spares = table(kMembersMax * sizeof(SharedU64));
  g.slot_words = table(slots * sizeof(SharedU64));
  g.lines = table((slots + kMembersMax) * sizeof(SharedLine));
  g.granule_entries = table(g.granules_max * sizeof(BlockEntry));
  g.granule_info = table(g.granules_max * sizeof(SharedU32));
  g.free_hints = table(g.granules_max / kGranulesPerWord * sizeof(SharedU32));
  g.backed = table(g.granules_max / kGranulesPerWord / 32 * sizeof(SharedU32) + sizeof(SharedU32));
  g.size_hints = table(kBlockSizes * (g.granules_max / 64) * sizeof(SharedU64));
  g.slab_hints = table(g.granules_max * sizeof(SharedU64));
  g.fixed_end = at;
  g.deliveries = table(kGroupsMax * round_up(slots * sizeof(SharedU64), kRingGranuleBytes));
  g.block_entries = table(g.granules_max * kLinesPerGranule * sizeof(BlockEntry));
  g.payloads = round_up(at, kPayloadAlignBytes);
  g.end = g.payloads + g.granules_max * kRingGranuleBytes;
  return g;
}

}  // namespace elasticpool
