// The zones of blocks as the compiler sees them: what is constant of each is one type.
//
// Who may call  heap/. Any thread.
// Cost          templates over these types are compiled once a zone: no table is read.
#pragma once

#include "base/annotations.h"
#include "pagemap/zone.h"
#include "slab/block_codes.h"

namespace elasticpool {

struct TinyBlocks {
  static constexpr ZoneKind kKind = ZoneKind::kTiny;
  static constexpr ZoneShape kShape = kTinyShape;
  static const Zone& zone() { return g_tiny_zone; }
};

struct SmallBlocks {
  static constexpr ZoneKind kKind = ZoneKind::kSmall;
  static constexpr ZoneShape kShape = kSmallShape;
  static const Zone& zone() { return g_small_zone; }
};

struct MediumBlocks {
  static constexpr ZoneKind kKind = ZoneKind::kMedium;
  static constexpr ZoneShape kShape = kMediumShape;
  static const Zone& zone() { return g_medium_zone; }
};

// Calls visit with a value of the type of the class's zone.
template <typename Visit>
EP_ALWAYS_INLINE auto visit_zone_of(ClassId id, Visit visit) {
  switch (zone_kind_of(id)) {
    case ZoneKind::kTiny:
      return visit(TinyBlocks{});
    case ZoneKind::kSmall:
      return visit(SmallBlocks{});
    default:
      return visit(MediumBlocks{});
  }
}

// The code of the live block of the zone that starts at p; kNoBlock where none does.
template <typename Blocks>
EP_ALWAYS_INLINE size_t live_code(const void* p) {
  const uintptr_t step = step_of<Blocks::kShape>(p);
  if (!Blocks::zone().holds_step(step)) return kNoBlock;
  const size_t code = match<Blocks::kShape>(cell_at<Blocks::kShape>(step), step);
  if (is_class_code(Blocks::kKind, code)) return code;
  return Blocks::kKind == ZoneKind::kMedium && code == kBuddyBlock ? code : kNoBlock;
}

}  // namespace elasticpool
