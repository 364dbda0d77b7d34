// What lives at an address: for everything that is no fast path.
//
// Who may call  heap/. Any thread.
// Cost          a comparison a zone, one load of a map.
#pragma once

#include <cstdint>

#include "base/units.h"

namespace elasticpool {

struct Place {
  enum Kind : uint8_t {
    kSlabBlock,      // a live block of a slab starts there
    kBuddyGranules,  // a live block of granules
    kExtent,         // a live extent
    kDeadPlace,      // ours, and nothing live starts there
    kForeign,        // not ours
  } kind;
  ClassId id;  // of a slab's block
};

Place locate(const void* p);

// p came to free and lies in our memory, and no live block starts there: a second free, or one of
// the inside of a block.
[[noreturn]] void die_of_free(const void* p);

}  // namespace elasticpool
