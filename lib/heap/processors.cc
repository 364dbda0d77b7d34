// See processors.h.
#include "heap/processors.h"

#include <atomic>

#include "base/lock.h"
#include "os/cpu_count.h"
#include "percpu/cpu_cache.h"

namespace elasticpool {
namespace {

constinit std::atomic<uint32_t> g_births{0};

void follow() {
  const UsableCpus cpus = usable_cpus();
  choose_cpu_caches(cpus.by_quota);
  set_lock_spinning(cpus.least() > 1);
}

}  // namespace

void count_processors() {
  count_own_cpus();
  if (g_births.load(std::memory_order_relaxed) > 1) follow();
}

void note_birth() {
  // A thread that is born while it is counted follows the one or the other; both are right.
  if (g_births.load(std::memory_order_relaxed) > 1) return;
  if (g_births.fetch_add(1, std::memory_order_relaxed) == 1) follow();
}

}  // namespace elasticpool
