// See cpu.h.
#include "os/cpu.h"

#include <errno.h>
#include <linux/rseq.h>
#include <sched.h>

#include <cstddef>
#include <cstdint>

// glibc 2.35 and later; weak, so that older ones still load us.
extern "C" {
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));
}

namespace elasticpool {
namespace {

constinit ptrdiff_t g_rseq_offset = 0;
constinit bool g_rseq_registered = false;

}  // namespace

void cpu_boot() {
  g_rseq_registered = &__rseq_size != nullptr && &__rseq_offset != nullptr && __rseq_size != 0;
  if (g_rseq_registered) g_rseq_offset = __rseq_offset;
}

CpuId current_cpu() {
  if (g_rseq_registered) {
    const auto* area = reinterpret_cast<const volatile struct rseq*>(
        static_cast<const char*>(__builtin_thread_pointer()) + g_rseq_offset);
    const auto cpu = static_cast<int32_t>(area->cpu_id);
    // Negative where the registration of this thread failed.
    if (cpu >= 0) return static_cast<CpuId>(cpu);
  }
  const int saved_errno = errno;
  const int cpu = sched_getcpu();
  errno = saved_errno;
  return static_cast<CpuId>(cpu < 0 ? 0 : cpu);
}

}  // namespace elasticpool
