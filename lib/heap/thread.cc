// See thread.h.
#include "heap/thread.h"

#include <errno.h>
#include <pthread.h>

namespace elasticpool {

thread_local constinit ThreadSlot t_slot = {&g_vacant_cache, false};

namespace {

constinit pthread_key_t g_key = 0;
constinit bool g_key_made = false;

// glibc visits the keys this often while any of them is set.
constexpr uint8_t kLastPass = PTHREAD_DESTRUCTOR_ITERATIONS - 1;

void on_thread_exit(void* value) {
  auto* cache = static_cast<ThreadCache*>(value);
  // Other destructors run in any order: ask to be called again until nobody comes after us.
  if (cache->exit_passes < kLastPass) {
    ++cache->exit_passes;
    if (pthread_setspecific(g_key, cache) == 0) return;
  }
  t_slot.cache = &g_vacant_cache;
  t_slot.dead = true;
  retire_cache(cache);
}

}  // namespace

void threads_boot() { g_key_made = pthread_key_create(&g_key, on_thread_exit) == 0; }

ThreadCache* cache_or_birth() {
  ThreadSlot& slot = t_slot;
  if (EP_LIKELY(slot.cache != &g_vacant_cache)) return slot.cache;
  if (slot.dead || !g_key_made) return nullptr;
  ThreadCache* cache = make_cache();
  if (cache == nullptr) return nullptr;
  // First the slot: setting the key may call calloc.
  slot.cache = cache;
  const int saved_errno = errno;
  const bool will_be_told = pthread_setspecific(g_key, cache) == 0;
  errno = saved_errno;
  if (will_be_told) return cache;
  slot.cache = &g_vacant_cache;
  retire_cache(cache);
  return nullptr;
}

}  // namespace elasticpool
