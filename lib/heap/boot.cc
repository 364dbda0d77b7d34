// See boot.h.
#include "heap/boot.h"

#include "base/annotations.h"
#include "base/die.h"
#include "base/lock.h"
#include "base/reclaimer.h"
#include "buddy/buddy.h"
#include "heap/foreign.h"
#include "heap/fork.h"
#include "heap/heap.h"
#include "heap/idle_memory.h"
#include "heap/processors.h"
#include "heap/relief.h"
#include "heap/thread.h"
#include "large/extents.h"
#include "os/cpu.h"
#include "os/huge_pages.h"
#include "os/libc_text.h"
#include "os/meta_arena.h"
#include "os/numa.h"
#include "os/output.h"
#include "os/process.h"
#include "os/sync.h"
#include "percpu/cpu_cache.h"
#include "pressure/kernel_hints.h"
#include "slab/slab.h"
#include "tune/options.h"

extern "C" char** environ __attribute__((weak));

namespace elasticpool {

constinit std::atomic<bool> g_booted{false};

namespace {

// The zones lie at a quarter of it, where the thread sanitizer lets them.
constexpr uintptr_t kSanitizerAnchor = 448 * kGiB;

constinit Lock g_boot_lock{LockRank::kBoot};
constinit bool g_options_loaded EP_GUARDED_BY(g_boot_lock) = false;

FitPolicy fit_policy(LargeFit fit) {
  switch (fit) {
    case LargeFit::kFirst:
      return FitPolicy::kFirst;
    case LargeFit::kWorst:
      return FitPolicy::kWorst;
    case LargeFit::kBest:
      break;
  }
  return FitPolicy::kBest;
}

void apply_options() {
  buddy_set_retain(options().retain_bytes);
  large_boot(fit_policy(options().large_fit), options().retain_bytes);
}

void load_options_once(char** environment) EP_REQUIRES(g_boot_lock) {
  if (g_options_loaded || environment == nullptr) return;
  g_options_loaded = true;
  const bool is_secure = is_secure_process();
  load_options(environment, is_secure, write_stderr);
  if (!is_secure) note_service_manager(environment);
}

// Interleaved memory is near to nobody, so nobody has frames and slabs of their own there: all CPUs
// stay on node 0.
void start_numa() {
  switch (options().numa) {
    case NumaPolicy::kLocal:
      if (numa_start(NumaPlacement::kLocal)) set_node_of_cpu(numa_node_of);
      break;
    case NumaPolicy::kInterleave:
      numa_start(NumaPlacement::kInterleave);
      break;
    case NumaPolicy::kOff:
      break;
  }
}

}  // namespace

bool boot_slow() {
  LockGuard guard(g_boot_lock);
  if (g_booted.load(std::memory_order_relaxed)) return true;
  install_lock_hooks();
  cpu_boot();
  numa_boot();
  output_boot();
  huge_pages_boot();
  set_fatal_sink(write_stderr);
  // Where the kernel puts our first record, the zones are planned below.
  const void* anchor = meta_allocate(kCacheLineBytes);
  if (anchor == nullptr) return false;
  plan_zones(EP_THREAD_SANITIZER ? kSanitizerAnchor : address_of(anchor), kZoneSides);
  if (&environ != nullptr) load_options_once(environ);
  apply_options();
  set_reclaimer(Reclaimer::kTinyFrames, buddy_reclaim_tiny);
  set_reclaimer(Reclaimer::kSmallFrames, buddy_reclaim_small);
  set_reclaimer(Reclaimer::kMediumFrames, buddy_reclaim_medium);
  set_reclaimer(Reclaimer::kExtents, large_reclaim);
  threads_boot();
  watch_idle_memory();
  // order[booted]: all of the above, for whoever sees true.
  g_booted.store(true, std::memory_order_release);
  return true;
}

void heap_start(char** environment) {
  if (!ensure_booted()) return;
  {
    LockGuard guard(g_boot_lock);
    if (!g_options_loaded) {
      load_options_once(environment);
      apply_options();
    }
  }
  libc_text_boot();
  install_fork_handlers();
  find_foreign_free();
  count_processors();
  start_numa();
  start_governor();
}

}  // namespace elasticpool
