// Blocks whose contents tell whose they are: a stamp at the start of every granule and one at the
// end. Extents begin and end at granules, so two that overlap break each other's stamps.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/bits.h"
#include "base/units.h"
#include "large/extents.h"
#include "os/vm.h"

namespace elasticpool::test {

struct Block {
  char* data = nullptr;
  size_t bytes = 0;
  uint64_t id = 0;
};

// One thread's.
class Blocks {
 public:
  explicit Blocks(uint64_t first_id = 1) : next_id_(first_id) {}

  // The number of the block; -1: refused.
  int allocate(size_t bytes, size_t align_bytes = 1) {
    bool zeroed = false;
    auto* data = static_cast<char*>(large_allocate(bytes, align_bytes, &zeroed));
    if (data == nullptr) {
      ++refused_;
      return -1;
    }
    const Block block{data, bytes, next_id_++};
    check(address_of(data) % kGranuleBytes == 0, block, "starts at a granule");
    check(address_of(data) % align_bytes == 0, block, "is aligned");
    check(usable_is_right(block), block, "has its usable size");
    if (zeroed) check(is_zero(block), block, "is zero as promised");
    stamp(block, 0);
    blocks_.push_back(block);
    return static_cast<int>(blocks_.size()) - 1;
  }

  bool resize(int number, size_t bytes) {
    if (number < 0) return true;
    Block& block = blocks_[static_cast<size_t>(number)];
    verify(block);
    auto* data = static_cast<char*>(large_reallocate(block.data, bytes));
    if (data == nullptr) {
      ++refused_;
      verify(block);
      return false;
    }
    const size_t kept_bytes = std::min(block.bytes, bytes);
    moved_ += data != block.data;
    block.data = data;
    const size_t old_bytes = block.bytes;
    block.bytes = bytes;
    check(usable_is_right(block), block, "has its new usable size");
    check(starts_hold(block, kept_bytes), block, "keeps its contents");
    if (bytes >= old_bytes) check(tail_holds(block, old_bytes), block, "keeps its last bytes");
    stamp(block, 0);
    return true;
  }

  void free(int number) {
    if (number < 0) return;
    Block& block = blocks_[static_cast<size_t>(number)];
    verify(block);
    check(large_free(block.data), block, "is freed");
    block.data = nullptr;
  }

  void free_all() {
    for (size_t i = 0; i < blocks_.size(); ++i) {
      if (blocks_[i].data != nullptr) free(static_cast<int>(i));
    }
    blocks_.clear();
  }

  void verify_all() {
    for (const Block& block : blocks_) {
      if (block.data != nullptr) verify(block);
    }
  }

  const Block& operator[](int number) const { return blocks_[static_cast<size_t>(number)]; }
  uint64_t failures() const { return failures_; }
  uint64_t refused() const { return refused_; }
  uint64_t moved() const { return moved_; }

 private:
  static uint64_t stamp_at(const Block& block, size_t at) {
    return (block.id << 32 | at / 16) * 0x9e3779b97f4a7c15U;
  }
  static uint64_t tail_stamp(const Block& block) { return ~stamp_at(block, 0); }
  static uint64_t read(const char* at) {
    uint64_t value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
  }

  static void stamp(const Block& block, size_t from) {
    for (size_t at = from; at + 16 <= block.bytes; at += kGranuleBytes) {
      const uint64_t value = stamp_at(block, at);
      std::memcpy(block.data + at, &value, sizeof value);
    }
    const uint64_t value = tail_stamp(block);
    std::memcpy(block.data + block.bytes - sizeof value, &value, sizeof value);
  }

  static bool starts_hold(const Block& block, size_t bytes) {
    for (size_t at = 0; at + 16 <= bytes; at += kGranuleBytes) {
      if (read(block.data + at) != stamp_at(block, at)) return false;
    }
    return true;
  }
  static bool tail_holds(const Block& block, size_t bytes) {
    return read(block.data + bytes - sizeof(uint64_t)) == tail_stamp(block);
  }
  static bool usable_is_right(const Block& block) {
    return large_usable_bytes(block.data) == round_up(block.bytes, page_bytes());
  }
  static bool is_zero(const Block& block) {
    for (size_t at = 0; at < block.bytes; at += kGranuleBytes / 4) {
      if (block.data[at] != 0) return false;
    }
    return block.data[block.bytes - 1] == 0;
  }

  void verify(const Block& block) {
    check(usable_is_right(block), block, "is live");
    check(starts_hold(block, block.bytes) && tail_holds(block, block.bytes), block, "is intact");
  }

  void check(bool holds, const Block& block, const char* what) {
    if (holds) return;
    ++failures_;
    std::printf("block %llu at %p, %zu bytes: not true that it %s\n",
                static_cast<unsigned long long>(block.id), static_cast<void*>(block.data),
                block.bytes, what);
  }

  std::vector<Block> blocks_;
  uint64_t next_id_;
  uint64_t failures_ = 0;
  uint64_t refused_ = 0;
  uint64_t moved_ = 0;
};

}  // namespace elasticpool::test
