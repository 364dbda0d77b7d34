// See thread.h.
#include "heap/thread.h"

#include <errno.h>
#include <pthread.h>

#include "heap/processors.h"
#include "heap/runs.h"
#include "pressure/caretaker.h"

namespace elasticpool {

thread_local constinit ThreadSlot t_slot = {&g_vacant_cache, false, 0};

namespace {

constinit pthread_key_t g_key = 0;
constinit bool g_key_made = false;

void on_thread_exit(void* value) {
  // Not in a later pass, although other destructors may free much yet: a thread that was born in
  // one of them has no later pass.
  t_slot.cache = &g_vacant_cache;
  t_slot.dead = true;
  auto* cache = static_cast<ThreadCache*>(value);
  flush_runs(*cache);
  retire_cache(cache);
  caretaker_note_end(0);
  caretaker_wake_if_asleep();
}

}  // namespace

void threads_boot() { g_key_made = pthread_key_create(&g_key, on_thread_exit) == 0; }

ThreadCache* cache_or_birth() {
  ThreadSlot& slot = t_slot;
  if (EP_LIKELY(slot.cache != &g_vacant_cache)) return slot.cache;
  if (slot.dead || !g_key_made) return nullptr;
  ThreadCache* cache = make_cache();
  if (cache == nullptr) return nullptr;
  note_birth();
  // First the slot: setting the key may call calloc.
  slot.cache = cache;
  const int saved_errno = errno;
  const bool will_be_told = pthread_setspecific(g_key, cache) == 0;
  errno = saved_errno;
  if (will_be_told) return cache;
  slot.cache = &g_vacant_cache;
  flush_runs(*cache);
  retire_cache(cache);
  return nullptr;
}

ThreadCache* cache_for_free() {
  ThreadSlot& slot = t_slot;
  if (EP_LIKELY(slot.cache != &g_vacant_cache)) return slot.cache;
  if (slot.early_frees < kFreesBeforeBirth) {
    ++slot.early_frees;
    return nullptr;
  }
  return cache_or_birth();
}

}  // namespace elasticpool
