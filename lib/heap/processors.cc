// See processors.h.
#include "heap/processors.h"

#include <atomic>

#include "base/lock.h"
#include "os/cpu_count.h"
#include "percpu/cpu_cache.h"

namespace elasticpool {
namespace {

constinit std::atomic<bool> g_has_first_thread{false};

}  // namespace

void note_birth() {
  if (!g_has_first_thread.load(std::memory_order_relaxed)) {
    g_has_first_thread.store(true, std::memory_order_relaxed);
  } else {
    follow_usable_cpus();
  }
}

void follow_usable_cpus() {
  const UsableCpus before = usable_cpus();
  if (!refresh_usable_cpus()) return;
  const UsableCpus now = usable_cpus();
  if (now != before) choose_cpu_caches(now.by_quota);
  // The mask is the first thread's: others may run elsewhere.
  set_lock_spinning(now.by_quota > 1 && (now.by_mask > 1 || cpu_caches() > 1));
}

}  // namespace elasticpool
