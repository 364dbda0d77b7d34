// What the tuner sees: which classes are busy, and which class more would save memory.
//
// Threads    any; see heap/snapshot.h for what is exact when.
// Estimates  what is unused within live blocks and what a new class would save: from the misses
//            (magazine/request_pattern.h), as if live blocks were asked for as those were.
// Cost       the lock of the thread list once a class that was used. Nothing is allocated.
#pragma once

#include <cstddef>
#include <cstdint>

#include "heap/snapshot.h"
#include "magazine/request_pattern.h"
#include "magazine/thread_cache.h"

namespace elasticpool {

struct Advice {
  ClassId id{};  // whose blocks would be split
  NewClass added;
};

// The best few, most first; none that would save less than 1 % of the heap's live bytes.
inline constexpr size_t kAdviceMax = 3;
struct TunerView {
  Advice advice[kAdviceMax] = {};
  size_t advice_count = 0;
  uint64_t unused_bytes = 0;  // within live blocks of slabs
};
void take_tuner_view(const HeapSnapshot& heap, TunerView* view);

}  // namespace elasticpool
