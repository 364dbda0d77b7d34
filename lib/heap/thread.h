// Birth and death of a thread, as the heap sees them.
//
// Threads   each its own.
// Birth     at a thread's first request that its vacant cache cannot serve, hence the first.
// Death     in the last pass over the thread's pthread keys, so that destructors of other keys may
//           still allocate and free; what libc frees even later goes without a cache.
// TLS       one initial-exec slot of 16 bytes: the library may be loaded by dlopen.
#pragma once

#include "base/annotations.h"
#include "magazine/thread_cache.h"

namespace elasticpool {

struct ThreadSlot {
  ThreadCache* cache;
  bool dead;
};

extern thread_local constinit ThreadSlot t_slot __attribute__((tls_model("initial-exec")));

EP_ALWAYS_INLINE ThreadCache& this_cache() { return *t_slot.cache; }

// This thread's cache, made now if it has none; nullptr when it cannot have one.
ThreadCache* cache_or_birth();

// Once, at boot: the key whose destructor retires a thread's cache.
void threads_boot();

}  // namespace elasticpool
