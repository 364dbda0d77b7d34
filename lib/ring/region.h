// A region: the shared mapping, and typed views of what lies in it.
//
// Threads     any, once it is open.
// Trust       geometry and configuration are private copies that were checked when it was opened;
//             an index that comes from the region must be checked against them before a view is
//             taken.
// Backing     the file has its full size from the start and is sparse: tables are backed at
//             creation, payloads, block words and delivery words by back() before they are first
//             touched. So a full file system is an error code and never SIGBUS.
// Invariants  a name appears with the finished region behind it or not at all (O_TMPFILE and
//             linkat); a memfd is sealed against shrinking.
// Cost        views are an addition; back() a system call.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/annotations.h"
#include "include/elasticpool/ring.h"
#include "ring/header_line.h"
#include "ring/layout.h"

namespace elasticpool {

class Region {
 public:
  static ep_ring_error create(const char* name, const ep_ring_options& options, Region** region);
  static ep_ring_error attach(const char* name, uint32_t flags, Region** region);
  // Keeps a duplicate of the descriptor.
  static ep_ring_error attach_fd(int fd, uint32_t flags, Region** region);
  static ep_ring_error remove(const char* name);
  // Removes `name`, which this region was attached by. Errors  BUSY: others are attached, too.
  ep_ring_error remove_alone(const char* name) const;
  static void close(Region* region);

  const RegionConfig& config() const { return config_; }
  const RegionGeometry& geometry() const { return geometry_; }
  int fd() const { return fd_; }
  // By which this process created or attached it; null: by a descriptor.
  const char* name() const { return name_; }
  bool may_write_payloads() const { return may_write_payloads_; }

  RegionHeader& header() const { return *tables_.header; }
  MemberRecord& member(uint32_t place) const { return tables_.members[place]; }
  GroupRecord& group(uint32_t index) const { return tables_.groups[index]; }
  DurableRecord* durable(unsigned index) const {
    return at<DurableRecord>(geometry_.durable + index * kDurableRecordBytes);
  }

  uint64_t slot_of(uint64_t sequence) const { return sequence & (geometry_.slots - 1); }
  uint32_t lap_of(uint64_t sequence) const {
    return static_cast<uint32_t>(sequence >> slots_log2_);
  }
  // The sequence of that lap which comes closest behind `near`; for laps read from a word.
  uint64_t sequence_of(uint64_t slot, uint32_t lap, uint64_t near) const;

  SharedU32& line_map(uint64_t slot) const { return tables_.line_map[slot]; }
  SharedU64& spare(uint32_t index) const { return at<SharedU64>(geometry_.spares)[index]; }
  SharedU64& slot_word(uint64_t slot) const { return tables_.slot_words[slot]; }
  SharedU64& delivery(uint32_t group, uint64_t slot) const {
    return tables_.deliveries[group * delivery_stride_ + slot];
  }
  // The header line of a slot: its own, unless somebody who was stopped may still write that.
  SharedLine& line(uint64_t slot) const {
    const uint32_t spare = line_spare(line_map(slot).load_relaxed());
    return line_at(EP_LIKELY(spare == 0 || spare > kMembersMax) ? slot
                                                                : geometry_.slots + spare - 1);
  }
  // The slots' own, then the spare ones.
  SharedLine& line_at(uint64_t index) const { return tables_.lines[index]; }

  BlockEntry& granule(uint64_t granule) const { return tables_.granules[granule]; }
  SharedU32& granule_info(uint64_t granule) const { return tables_.granule_info[granule]; }
  SharedU32& free_hint(uint64_t frame) const { return at<SharedU32>(geometry_.free_hints)[frame]; }
  SharedU32& backed(uint64_t frame) const { return at<SharedU32>(geometry_.backed)[frame / 32]; }
  // By size, then by 64 granules.
  SharedU64& size_hint(size_t size_index, uint64_t word) const {
    return at<SharedU64>(geometry_.size_hints)[size_index * (geometry_.granules_max / 64) + word];
  }
  // Bit i of word w: block 64 w + i may be free.
  SharedU64& slab_hint(uint64_t word) const { return at<SharedU64>(geometry_.slab_hints)[word]; }
  BlockEntry& block_entry(uint64_t block) const { return tables_.block_entries[block]; }
  // Where the mapping lets this process write, or only read.
  unsigned char* payload(uint64_t offset) const { return payloads_ + offset; }
  uint64_t payload_bytes_max() const { return geometry_.granules_max * kRingGranuleBytes; }

  // Takes memory for [offset, offset + bytes) of the region. Errors  NO_SPACE SYSTEM.
  ep_ring_error back(uint64_t offset, uint64_t bytes) const;
  ep_ring_error back_deliveries(uint32_t group, uint64_t bytes) const {
    return back(geometry_.deliveries + group * delivery_stride_ * sizeof(SharedU64), bytes);
  }
  // Writes the region to its file; a file region's only. Errors  SYSTEM.
  ep_ring_error sync() const;
  ep_ring_error sync(uint64_t offset, uint64_t bytes) const;

 private:
  Region() = default;
  template <typename T>
  T* at(uint64_t offset) const {
    return reinterpret_cast<T*>(base_ + offset);
  }
  ep_ring_error make(const char* name, const ep_ring_options& options);
  ep_ring_error make_file(const char* name, const ep_ring_options& options, bool* linked_later);
  ep_ring_error lay_out(const char* name, const ep_ring_options& options);
  ep_ring_error open_fd(uint32_t flags);
  ep_ring_error read_config();
  ep_ring_error bring_in_order();
  ep_ring_error map(bool write_payloads);
  void set_geometry();

  RegionConfig config_{};
  RegionGeometry geometry_{};
  unsigned slots_log2_ = 0;
  uint64_t delivery_stride_ = 0;  // words
  // Where the tables lie that every message needs.
  struct Tables {
    RegionHeader* header;
    MemberRecord* members;
    GroupRecord* groups;
    SharedU32* line_map;
    SharedU64* slot_words;
    SharedLine* lines;
    SharedU64* deliveries;
    BlockEntry* granules;
    SharedU32* granule_info;
    BlockEntry* block_entries;
  };
  Tables tables_{};
  unsigned char* base_ = nullptr;
  uint64_t mapped_bytes_ = 0;
  unsigned char* payloads_ = nullptr;  // a second mapping where they are read-only
  int fd_ = -1;
  char* name_ = nullptr;
  bool may_write_payloads_ = false;
  bool is_backed_whole_ = false;
};

}  // namespace elasticpool
