// Of those who would change the same cache lines at the same time, one goes first.
//
// Who may call   publishers, for the slots they claim; whoever takes messages out.
// Threads        any, of any process.
// A hint         nothing relies on it: who finds it taken comes back later, or waits a moment and
//                takes it over. So who dies or is stopped in his turn delays nobody for long, and
//                what somebody scribbles there neither.
// Why            two publishers on two processors that claim slot by slot, or take out message by
//                message, wait for each other's lines with each: three times the work of one.
// Cost           a locked instruction, on a line that is changed anyway.
#pragma once

#include "ring/shared.h"
#include "ring/words.h"

namespace elasticpool {

class Turn {
 public:
  Turn(SharedU32& word, Tag who) : word_(word), ours_(static_cast<uint32_t>(who) + 1) {}

  bool is_taken() const { return word_.load_relaxed() != 0; }
  // False: somebody has it.
  bool take() { return !is_taken() && word_.change(0, ours_); }
  void take_over() { word_.store_relaxed(ours_); }
  // Unless it was taken over.
  void give() {
    if (word_.load_relaxed() == ours_) word_.store_release(0);
  }

 private:
  SharedU32& word_;
  const uint32_t ours_;  // not 0
};

}  // namespace elasticpool
