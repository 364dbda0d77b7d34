// The blocks on which a consumer has set its holder's bit for its program, as far as they are few.
//
// Threads  one at a time. Private memory: the words of the blocks say who holds them.
// Why      a handle that leaves gives them up without a look at every block of the pool; what
//          somebody else keeps for this consumer is told from what its program holds; and the bit
//          of a message that is in work stays, whatever its program says, until that is given up.
// Cost     a look at each that is held, 64 at most.
#pragma once

#include <cstdint>

namespace elasticpool {

class HeldBlocks {
 public:
  enum class State : uint8_t {
    kNone,       // none of these, or not known
    kInWork,     // held, and its message not given up yet
    kLetGo,      // the same, and not held any more
    kOutOfWork,  // held
  };

  struct Entry {
    uint64_t sequence;
    uint32_t block;
    State state;
  };

  // False once there were more than it has room for: then nobody knows which are left.
  bool are_known() const { return count_ <= kKnown; }
  bool is_empty() const { return count_ == 0; }
  uint32_t count() const { return count_; }
  const Entry& at(uint32_t i) const { return entries_[i]; }
  State state(uint64_t sequence) const {
    const uint32_t i = index_of(sequence);
    return i < count_ ? entries_[i].state : State::kNone;
  }

  // It is in work.
  void hold(uint64_t sequence, uint32_t block) {
    const uint32_t i = index_of(sequence);
    if (i < kKnown) entries_[i] = {sequence, block, State::kInWork};
    if (i == count_ && are_known()) ++count_;
  }
  void set_state(uint64_t sequence, State state) {
    const uint32_t i = index_of(sequence);
    if (i < count_) entries_[i].state = state;
  }
  void remove(uint64_t sequence) {
    const uint32_t i = index_of(sequence);
    if (i < count_) entries_[i] = entries_[--count_];
  }

 private:
  static constexpr uint32_t kKnown = 64;
  // count_: not among them.
  uint32_t index_of(uint64_t sequence) const {
    if (!are_known()) return count_;
    for (uint32_t i = 0; i < count_; ++i) {
      if (entries_[i].sequence == sequence) return i;
    }
    return count_;
  }

  uint32_t count_ = 0;
  Entry entries_[kKnown];
};

}  // namespace elasticpool
