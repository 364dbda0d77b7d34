// What a consumer remembers of messages whose blocks may bear its holder's bit: what its program
// holds, and, in a group that drops, what is in work.
//
// Threads  one at a time. Private memory: the words of the blocks say who holds them.
// Why      the bit is one, and its reasons are two: a message that is dropped while it is in work
//          keeps its bytes by the same bit as one that is held. It may be cleared when both are
//          over, and when nobody is about to set it.
// Form     a table by sequence, linear probing (Knuth, The Art of Computer Programming, 6.4), at
//          most half full, which moves entries back when one is removed (algorithm R there).
// Cost     some ns; the table doubles when it is half full.
#pragma once

#include <cstdint>
#include <cstdlib>

#include "base/annotations.h"

namespace elasticpool {

struct KeptMessage {
  uint64_t sequence = 0;  // 0: no entry
  uint32_t block = 0;
  uint32_t taken_away = 0;  // the group's count before it was claimed
  uint8_t deliveries = 0;
  bool is_in_work = false;
  bool is_held = false;
  bool has_bit = false;  // for certain, or perhaps from an earlier delivery
};

class KeptMessages {
 public:
  KeptMessages() = default;
  KeptMessages(const KeptMessages&) = delete;
  KeptMessages& operator=(const KeptMessages&) = delete;
  ~KeptMessages() { free(entries_); }

  bool is_empty() const { return count_ == 0; }
  // Room for one more; false: there is no memory.
  bool make_room() { return EP_LIKELY(2 * (uint64_t{count_} + 1) <= capacity_) || grow(); }
  // nullptr: it is not among them.
  KeptMessage* find(uint64_t sequence) {
    if (count_ == 0) return nullptr;
    KeptMessage& entry = entries_[place_of_entry(sequence)];
    return entry.sequence == sequence ? &entry : nullptr;
  }
  // The one of that sequence, which is made where there is none; make_room() was called before.
  KeptMessage& at(uint64_t sequence) {
    KeptMessage& entry = entries_[place_of_entry(sequence)];
    if (entry.sequence == 0) {
      entry.sequence = sequence;
      ++count_;
    }
    return entry;
  }
  void remove(uint64_t sequence) {
    uint32_t hole = place_of_entry(sequence);
    if (entries_[hole].sequence != sequence) return;
    --count_;
    for (uint32_t i = next(hole); entries_[i].sequence != 0; i = next(i)) {
      // It stays where its own place lies behind the hole.
      const uint32_t own = home(entries_[i].sequence);
      if (((i - own) & (capacity_ - 1)) < ((i - hole) & (capacity_ - 1))) continue;
      entries_[hole] = entries_[i];
      hole = i;
    }
    entries_[hole] = KeptMessage{};
  }
  // work(KeptMessage&) for each, which may change it and tells whether it goes.
  template <typename Work>
  void remove_if(Work work) {
    for (uint32_t i = 0; i < capacity_;) {
      // Who was moved into the place of one that went is looked at next.
      if (entries_[i].sequence != 0 && work(entries_[i])) {
        remove(entries_[i].sequence);
      } else {
        ++i;
      }
    }
  }

 private:
  static constexpr uint32_t kCapacityMin = 64;
  uint32_t home(uint64_t sequence) const {
    // Fibonacci hashing (Knuth, 6.4).
    return static_cast<uint32_t>(sequence * 0x9E3779B97F4A7C15 >> 32) & (capacity_ - 1);
  }
  uint32_t next(uint32_t i) const { return (i + 1) & (capacity_ - 1); }
  // Where it is, or would be.
  uint32_t place_of_entry(uint64_t sequence) const {
    uint32_t i = home(sequence);
    while (entries_[i].sequence != 0 && entries_[i].sequence != sequence) i = next(i);
    return i;
  }
  bool grow() {
    const uint32_t capacity = capacity_ == 0 ? kCapacityMin : 2 * capacity_;
    auto* entries = static_cast<KeptMessage*>(calloc(capacity, sizeof(KeptMessage)));
    if (entries == nullptr) return false;
    KeptMessage* old = entries_;
    const uint32_t old_capacity = capacity_;
    entries_ = entries;
    capacity_ = capacity;
    for (uint32_t i = 0; i < old_capacity; ++i) {
      if (old[i].sequence != 0) entries_[place_of_entry(old[i].sequence)] = old[i];
    }
    free(old);
    return true;
  }

  KeptMessage* entries_ = nullptr;
  uint32_t capacity_ = 0;  // a power of two
  uint32_t count_ = 0;
};

}  // namespace elasticpool
