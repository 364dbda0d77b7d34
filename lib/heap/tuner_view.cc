// See tuner_view.h.
#include "heap/tuner_view.h"

#include <algorithm>

namespace elasticpool {
namespace {

constexpr uint64_t kWorthDivisor = 100;

void insert(const Advice& one, TunerView* view) {
  size_t at = view->advice_count;
  while (at > 0 && view->advice[at - 1].added.saved_bytes < one.added.saved_bytes) --at;
  if (at == kAdviceMax) return;
  if (view->advice_count < kAdviceMax) ++view->advice_count;
  std::move_backward(view->advice + at, view->advice + view->advice_count - 1,
                     view->advice + view->advice_count);
  view->advice[at] = one;
}

}  // namespace

void take_tuner_view(const HeapSnapshot& heap, TunerView* view) {
  *view = {};
  const uint64_t worth_bytes = heap.live_bytes() / kWorthDivisor;
  for (size_t i = 0; i < kClasses; ++i) {
    const ClassSnapshot& row = heap.classes[i];
    if (row.live_blocks == 0) continue;
    const ClassId id{static_cast<uint8_t>(i)};
    ClassTuning tuning;
    class_tuning(id, &tuning);
    view->unused_bytes += tuning.pattern.unused_bytes_of(row.live_blocks);
    const Advice one = {id, best_new_class(id, tuning.pattern, row.live_blocks)};
    if (one.added.saved_bytes > 0 && one.added.saved_bytes >= worth_bytes) insert(one, view);
  }
}

}  // namespace elasticpool
