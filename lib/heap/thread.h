// Birth and death of a thread, as the heap sees them.
//
// Threads   each its own.
// Birth     at a thread's first allocation; of one that only frees, after kFreesBeforeBirth frees.
//           Fewer come from a dying thread that never had a cache: libc frees what is left of
//           other threads when the destructors have run, and nobody would take a cache down then.
// Death     with the thread's pthread keys. What destructors of other keys still ask for after that
//           is served without a cache.
// TLS       one initial-exec slot of 16 bytes: the library may be loaded by dlopen.
#pragma once

#include "base/annotations.h"
#include "magazine/thread_cache.h"

namespace elasticpool {

struct ThreadSlot {
  ThreadCache* cache;
  bool dead;
  uint8_t early_frees;  // frees before there was a cache, up to kFreesBeforeBirth
};

extern thread_local constinit ThreadSlot t_slot __attribute__((tls_model("initial-exec")));

EP_ALWAYS_INLINE ThreadCache& this_cache() { return *t_slot.cache; }

inline constexpr uint8_t kFreesBeforeBirth = 32;

// This thread's cache, made now if it has none; nullptr when it cannot have one.
ThreadCache* cache_or_birth();
// The same for a free.
ThreadCache* cache_for_free();

// Once, at boot: the key whose destructor retires a thread's cache.
void threads_boot();

}  // namespace elasticpool
