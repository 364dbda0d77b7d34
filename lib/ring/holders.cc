// Keeping a message for who did not ask for it.
#include "ring/holders.h"

#include "ring/header_line.h"

namespace elasticpool {

KeptBlock keep_for(const Region& region, const Pool& pool, uint64_t sequence, Tag consumer) {
  MessageHeader header;
  KeptBlock kept;
  if (open_header(region.line(region.slot_of(sequence)), sequence, &header) &&
      pool.find(header.block, &kept.place) && begin_hold(kept.place, sequence, consumer)) {
    kept.block = header.block;
  }
  return kept;
}

}  // namespace elasticpool
