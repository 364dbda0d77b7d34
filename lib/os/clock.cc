// See clock.h.
#include "os/clock.h"

#include <errno.h>
#include <linux/futex.h>
#include <time.h>

#include "os/syscall.h"

namespace elasticpool {

uint64_t monotonic_ms() { return monotonic_ns() / 1'000'000; }

uint64_t monotonic_ns() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void sleep_ms(uint64_t ms, std::atomic<uint32_t>& word, uint32_t value) {
  const timespec time = {static_cast<time_t>(ms / 1000), static_cast<long>(ms % 1000 * 1'000'000)};
  const long result = system_call(SYS_futex, reinterpret_cast<long>(&word), FUTEX_WAIT_PRIVATE,
                                  static_cast<long>(value), reinterpret_cast<long>(&time));
  if (result != -ENOSYS && result != -EPERM) return;
  // A sandbox without futex. Not nanosleep() of libc: there the thread could be cancelled.
  system_call(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, reinterpret_cast<long>(&time), 0);
}

void wake_sleeper(std::atomic<uint32_t>& word) {
  system_call(SYS_futex, reinterpret_cast<long>(&word), FUTEX_WAKE_PRIVATE, 1);
}

}  // namespace elasticpool
