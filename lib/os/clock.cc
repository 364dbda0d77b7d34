// See clock.h.
#include "os/clock.h"

#include <time.h>

#include "os/syscall.h"

namespace elasticpool {

uint64_t monotonic_ms() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

void sleep_ms(uint64_t ms) {
  const timespec time = {static_cast<time_t>(ms / 1000), static_cast<long>(ms % 1000 * 1'000'000)};
  // Not nanosleep() of libc, which is a place where the thread could be cancelled.
  system_call(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, reinterpret_cast<long>(&time), 0);
}

}  // namespace elasticpool
