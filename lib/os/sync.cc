// See sync.h.
#include "os/sync.h"

#include <errno.h>
#include <linux/futex.h>

#include "base/lock.h"
#include "os/syscall.h"

namespace elasticpool {
namespace {

void wait(std::atomic<uint32_t>* word, uint32_t value) {
  const long result = system_call(SYS_futex, reinterpret_cast<long>(word), FUTEX_WAIT_PRIVATE,
                                  static_cast<long>(value), 0);
  if (result == -ENOSYS || result == -EPERM) system_call(SYS_sched_yield);
}

void wake_one(std::atomic<uint32_t>* word) {
  system_call(SYS_futex, reinterpret_cast<long>(word), FUTEX_WAKE_PRIVATE, 1);
}

}  // namespace

void install_lock_hooks() { set_lock_hooks({wait, wake_one}); }

}  // namespace elasticpool
