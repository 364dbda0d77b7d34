// The futex calls.
#include "ring/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

namespace elasticpool {

void futex_wait(const SharedU32& word, uint32_t value, uint64_t ns) {
  timespec timeout{};
  timeout.tv_sec = static_cast<time_t>(ns / 1'000'000'000);
  timeout.tv_nsec = static_cast<long>(ns % 1'000'000'000);
  // Not FUTEX_PRIVATE_FLAG: the sleepers are of several processes.
  if (syscall(SYS_futex, word.address(), FUTEX_WAIT, value, &timeout, nullptr, 0) == 0) return;
  if (errno != ENOSYS && errno != EPERM) return;
  const timespec moment{0, 200'000};
  nanosleep(&moment, nullptr);
}

void futex_wake(const SharedU32& word, int32_t sleepers) {
  syscall(SYS_futex, word.address(), FUTEX_WAKE, sleepers, nullptr, nullptr, 0);
}

}  // namespace elasticpool
