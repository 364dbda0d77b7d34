// Who keeps a message's bytes beyond its way through the ring: a bit a consumer in the block's
// second word, beside the low bits of the sequence.
//
// Who may call   consumers, for themselves; for a consumer that is busy with a message, who takes
//                that from it: publishers that drop it, sweeps.
// Threads        any. Whoever clears the last bit of a detached block frees it
//                (Reclaimer::free_if_unheld).
// Invariant      a word of another sequence is not changed: the block is another message's by now.
#pragma once

#include "ring/pool.h"

namespace elasticpool {

// False: it is another message's, or nobody's.
inline bool begin_hold(const BlockPlace& place, uint64_t sequence, Tag consumer) {
  const uint64_t bit = holder_bit(consumer);
  for (;;) {
    const uint64_t word = place.entry->holders.load_ordered();
    if (!is_held_as(word, sequence)) return false;
    if ((word & bit) != 0 || place.entry->holders.change(word, word | bit)) return true;
  }
}

// False: the consumer did not hold it.
inline bool end_hold(const BlockPlace& place, uint64_t sequence, Tag consumer) {
  const uint64_t bit = holder_bit(consumer);
  for (;;) {
    const uint64_t word = place.entry->holders.load_ordered();
    if (!is_held_as(word, sequence) || (word & bit) == 0) return false;
    if (place.entry->holders.change(word, word & ~bit)) return true;
  }
}

// A consumer may still be reading the message, though it is not its any more: its bytes stay until
// it gives them up, closes its handle or is gone. kNoBlock: the message is gone already.
struct KeptBlock {
  uint32_t block = kNoBlock;
  BlockPlace place;
};
KeptBlock keep_for(const Region& region, const Pool& pool, uint64_t sequence, Tag consumer);

}  // namespace elasticpool
