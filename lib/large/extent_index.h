// The free ranges of the large zone, by address and by size: which one serves a request, and what
// becomes of its neighbours.
//
// Pure:      over granule numbers; no lock, no system call, no address. See lib/LAYERS.
// Threads    none of its own; the owner's lock guards it.
// Store      supplies the ranges: `Range& range(RangeId)`, `RangeId new_range()` (kNoRange: none
//            left) and `void drop_range(RangeId)`.
// Invariant  ranges are disjoint; two that touch differ in state. So what is free and of one state
//            is one range, however it came to be free.
// Slots      only take() may need new ranges, and then changes nothing when there are none.
//            insert() needs none: what is given back always finds its place.
// Cost       O(log n). find() with an alignment also looks at each range that is long enough but
//            lies wrongly, until one lies well.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "large/range_tree.h"

namespace elasticpool {

enum class FitPolicy : uint8_t {
  kBest,   // the shortest that fits; among equals the lowest
  kFirst,  // the lowest that fits
  kWorst,  // the longest; among equals the highest
};

template <typename Store>
class ExtentIndex {
 public:
  constexpr explicit ExtentIndex(Store& store)
      : store_(store), states_{PerState(store), PerState(store), PerState(store)} {}

  // Granule g is aligned to `align` when (origin + g) % align == 0.
  void set_origin(uint64_t origin) { origin_ = origin; }

  // A range of that state that holds `granules` at a multiple of `align`, a power of two.
  RangeId find(RangeState state, uint32_t granules, uint32_t align, FitPolicy policy) const {
    const PerState& of = states_[index(state)];
    const auto accepts = [&](const Range& range) { return fits(range, granules, align); };
    if (policy == FitPolicy::kFirst) return of.by_address.first_of(granules, accepts);
    const bool best = policy == FitPolicy::kBest;
    RangeId id = best ? of.by_size.at_or_above(SizeOrder::key(granules, 0)) : largest(state);
    while (id != kNoRange && store_.range(id).granules >= granules) {
      if (accepts(store_.range(id))) return id;
      const uint64_t key = SizeOrder::key(store_.range(id));
      id = best ? of.by_size.at_or_above(key + 1) : of.by_size.at_or_below(key - 1);
    }
    return kNoRange;
  }

  // Where an aligned request begins in a range; behind its end where it has no such place.
  uint64_t aligned_start(const Range& range, uint32_t align) const {
    const uint64_t mask = uint64_t{align} - 1;
    return ((origin_ + range.start + mask) & ~mask) - origin_;
  }

  // Takes exactly [from, from + granules) out under the number `id`; the rest in front and behind
  // stays, under new numbers. False: no new number was to be had.
  bool take(RangeId id, uint32_t from, uint32_t granules) {
    const uint32_t start = store_.range(id).start;
    const RangeState state = store_.range(id).state;
    EP_CHECK(from >= start && granules > 0 && granules <= store_.range(id).end() - from);
    const uint32_t front = from - start;
    const uint32_t behind = store_.range(id).end() - from - granules;
    const RangeId front_id = front == 0 ? kNoRange : store_.new_range();
    if (front != 0 && front_id == kNoRange) return false;
    const RangeId behind_id = behind == 0 ? kNoRange : store_.new_range();
    if (behind != 0 && behind_id == kNoRange) {
      if (front_id != kNoRange) store_.drop_range(front_id);
      return false;
    }
    remove(id);
    set(id, from, granules, state);
    if (front != 0) {
      set(front_id, start, front, state);
      add(front_id);
    }
    if (behind != 0) {
      set(behind_id, from + granules, behind, state);
      add(behind_id);
    }
    return true;
  }

  // Takes the first `granules` out; the number stays with the rest, is dropped if there is none.
  void take_front(RangeId id, uint32_t granules) {
    const Range old = store_.range(id);
    EP_CHECK(granules <= old.granules);
    remove(id);
    if (granules == old.granules) {
      store_.drop_range(id);
      return;
    }
    set(id, old.start + granules, old.granules - granules, old.state);
    add(id);
  }

  // Makes a range free that is in no index; its start, granules and state are set. Neighbours of
  // the same state become one with it, and their numbers are dropped.
  void insert(RangeId id) {
    Range whole = store_.range(id);
    EP_CHECK(whole.granules > 0);
    const PerState& of = states_[index(whole.state)];
    const RangeId lower = of.by_address.at_or_below(whole.start);
    const RangeId upper = of.by_address.at_or_above(whole.start);
    if (lower != kNoRange) {
      EP_CHECK(store_.range(lower).end() <= whole.start);
      if (store_.range(lower).end() == whole.start) whole = absorbed(lower, whole);
    }
    if (upper != kNoRange) {
      EP_CHECK(whole.end() <= store_.range(upper).start);
      if (whole.end() == store_.range(upper).start) whole = absorbed(upper, whole);
    }
    set(id, whole.start, whole.granules, whole.state);
    add(id);
  }

  // The free range, of whatever state, that starts at the granule.
  RangeId starting_at(uint32_t granule) const {
    for (const PerState& of : states_) {
      const RangeId id = of.by_address.at_or_above(granule);
      if (id != kNoRange && store_.range(id).start == granule) return id;
    }
    return kNoRange;
  }

  // The free range of that state that ends at the granule.
  RangeId ending_at(RangeState state, uint32_t granule) const {
    if (granule == 0) return kNoRange;
    const RangeId id = states_[index(state)].by_address.at_or_below(granule - 1);
    return id != kNoRange && store_.range(id).end() == granule ? id : kNoRange;
  }

  // How many granules from `from` on are free, be it in ranges of several states; stops counting at
  // `enough`. The granule in front of `from` is not free.
  uint32_t free_run(uint32_t from, uint32_t enough) const {
    uint32_t counted = 0;
    while (counted < enough) {
      const RangeId id = starting_at(from + counted);
      if (id == kNoRange) break;
      counted += store_.range(id).granules;
    }
    return std::min(counted, enough);
  }

  // The longest of that state; among equals the highest.
  RangeId largest(RangeState state) const {
    return states_[index(state)].by_size.at_or_below(UINT64_MAX);
  }

  uint64_t granules(RangeState state) const { return states_[index(state)].granules; }
  uint64_t ranges(RangeState state) const { return states_[index(state)].ranges; }

 private:
  struct PerState {
    constexpr explicit PerState(Store& store) : by_address(store), by_size(store) {}
    RangeTree<Store, AddressOrder> by_address;
    RangeTree<Store, SizeOrder> by_size;
    uint64_t granules = 0;
    uint64_t ranges = 0;
  };

  static size_t index(RangeState state) { return static_cast<size_t>(state); }

  bool fits(const Range& range, uint32_t granules, uint32_t align) const {
    return aligned_start(range, align) + granules <= range.end();
  }

  void set(RangeId id, uint32_t start, uint32_t granules, RangeState state) {
    Range& range = store_.range(id);
    range.start = start;
    range.granules = granules;
    range.state = state;
  }

  void add(RangeId id) {
    PerState& of = states_[index(store_.range(id).state)];
    of.by_address.insert(id);
    of.by_size.insert(id);
    of.granules += store_.range(id).granules;
    ++of.ranges;
  }

  void remove(RangeId id) {
    PerState& of = states_[index(store_.range(id).state)];
    of.by_address.remove(id);
    of.by_size.remove(id);
    of.granules -= store_.range(id).granules;
    --of.ranges;
  }

  // `whole` and its free neighbour as one; the neighbour's number is dropped.
  Range absorbed(RangeId neighbour, Range whole) {
    const Range other = store_.range(neighbour);
    remove(neighbour);
    store_.drop_range(neighbour);
    whole.start = std::min(whole.start, other.start);
    whole.granules += other.granules;
    return whole;
  }

  Store& store_;
  uint64_t origin_ = 0;
  PerState states_[kRangeStates];
};

}  // namespace elasticpool
