// Free ranges in order: a treap whose nodes are named by number and lie where the owner keeps them.
//
// Pure:      index arithmetic only, see lib/LAYERS.
// Threads    none of its own; the owner's lock guards it.
// Store      a type with `Range& range(RangeId)`; the tree itself allocates nothing.
// Invariant  in each tree: key(left) < key(node) < key(right);
//            priority(node) > priority(children);
//            longest(node) == max(granules(node), longest(left), longest(right)).
// Cost       O(log n) expected for every call. The priority is a hash of the start, so equal
//            contents are equal trees, whatever the order of the calls.
//
// After "Randomized Search Trees" (Seidel, Aragon, 1996).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.h"

namespace elasticpool {

using RangeId = uint32_t;
inline constexpr RangeId kNoRange = 0;

enum class RangeState : uint8_t {
  kResident,  // mapped, pages may be there with old contents
  kClean,     // mapped, no page is there, reads as zero
  kHole,      // addresses only
};
inline constexpr size_t kRangeStates = 3;

struct TreeLinks {
  RangeId left = kNoRange;
  RangeId right = kNoRange;
  uint32_t longest = 0;
};

struct Range {
  uint32_t start = 0;
  uint32_t granules = 0;
  RangeState state = RangeState::kHole;
  TreeLinks by_address;
  TreeLinks by_size;

  uint32_t end() const { return start + granules; }
};

struct AddressOrder {
  static uint64_t key(const Range& range) { return range.start; }
  static TreeLinks& links(Range& range) { return range.by_address; }
};

// The lower address first among equal sizes.
struct SizeOrder {
  static uint64_t key(uint32_t granules, uint32_t start) {
    return uint64_t{granules} << 32 | start;
  }
  static uint64_t key(const Range& range) { return key(range.granules, range.start); }
  static TreeLinks& links(Range& range) { return range.by_size; }
};

template <typename Store, typename Order>
class RangeTree {
 public:
  constexpr explicit RangeTree(Store& store) : store_(store) {}

  void insert(RangeId id) {
    links(id) = {};
    root_ = inserted(root_, id);
  }
  void remove(RangeId id) { root_ = removed(root_, id); }

  // The first with a key of at least, and the last with a key of at most `bound`.
  RangeId at_or_above(uint64_t bound) const {
    RangeId found = kNoRange;
    for (RangeId at = root_; at != kNoRange;) {
      const bool here = key(at) >= bound;
      if (here) found = at;
      at = here ? links(at).left : links(at).right;
    }
    return found;
  }
  RangeId at_or_below(uint64_t bound) const {
    RangeId found = kNoRange;
    for (RangeId at = root_; at != kNoRange;) {
      const bool here = key(at) <= bound;
      if (here) found = at;
      at = here ? links(at).right : links(at).left;
    }
    return found;
  }

  // The first of at least `granules` for which accepts(range) holds; passes over every subtree that
  // has none so long.
  template <typename Accepts>
  RangeId first_of(uint32_t granules, const Accepts& accepts) const {
    return first_of(root_, granules, accepts);
  }

 private:
  uint64_t key(RangeId id) const { return Order::key(store_.range(id)); }
  TreeLinks& links(RangeId id) const { return Order::links(store_.range(id)); }

  // A bijection, so no two ranges of a tree have the same.
  uint32_t priority(RangeId id) const {
    uint32_t hash = store_.range(id).start;
    hash = (hash ^ hash >> 16) * 0x7feb352dU;
    hash = (hash ^ hash >> 15) * 0x846ca68bU;
    return hash ^ hash >> 16;
  }

  uint32_t longest(RangeId id) const { return id == kNoRange ? 0 : links(id).longest; }
  void refresh(RangeId id) const {
    TreeLinks& at = links(id);
    at.longest = std::max({store_.range(id).granules, longest(at.left), longest(at.right)});
  }

  // The recursions below go as deep as the tree is high: about 50 for a million ranges.

  // NOLINTNEXTLINE(misc-no-recursion): see above
  RangeId inserted(RangeId root, RangeId id) const {
    if (root == kNoRange) {
      refresh(id);
      return id;
    }
    const bool left = key(id) < key(root);
    RangeId& side = left ? links(root).left : links(root).right;
    side = inserted(side, id);
    const RangeId child = side;
    if (priority(child) > priority(root)) {
      RangeId& inner = left ? links(child).right : links(child).left;
      side = inner;
      inner = root;
      refresh(root);
      root = child;
    }
    refresh(root);
    return root;
  }

  // NOLINTNEXTLINE(misc-no-recursion): see above
  RangeId removed(RangeId root, RangeId id) const {
    EP_CHECK(root != kNoRange);
    TreeLinks& at = links(root);
    if (root == id) return merged(at.left, at.right);
    RangeId& side = key(id) < key(root) ? at.left : at.right;
    side = removed(side, id);
    refresh(root);
    return root;
  }

  // NOLINTNEXTLINE(misc-no-recursion): see above
  RangeId merged(RangeId lower, RangeId upper) const {
    if (lower == kNoRange) return upper;
    if (upper == kNoRange) return lower;
    const bool lower_wins = priority(lower) > priority(upper);
    const RangeId root = lower_wins ? lower : upper;
    if (lower_wins) {
      links(root).right = merged(links(root).right, upper);
    } else {
      links(root).left = merged(lower, links(root).left);
    }
    refresh(root);
    return root;
  }

  template <typename Accepts>
  // NOLINTNEXTLINE(misc-no-recursion): see above
  RangeId first_of(RangeId root, uint32_t granules, const Accepts& accepts) const {
    if (longest(root) < granules) return kNoRange;
    const RangeId lower = first_of(links(root).left, granules, accepts);
    if (lower != kNoRange) return lower;
    if (accepts(store_.range(root))) return root;
    return first_of(links(root).right, granules, accepts);
  }

  Store& store_;
  RangeId root_ = kNoRange;
};

}  // namespace elasticpool
