// See event_counter.h.
#include "os/event_counter.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>

#include "os/syscall.h"

namespace elasticpool {
namespace {

constexpr long kMark = O_APPEND | O_NONBLOCK;

}  // namespace

bool EventCounter::open() {
  close();
  const long low = system_call(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (failed(low)) return false;
  const long high = system_call(SYS_fcntl, low, F_DUPFD_CLOEXEC, KeptFile::kLeastDescriptor);
  system_call(SYS_close, low);
  if (failed(high)) return false;
  long error = 0;
  identity_ = identify_file(static_cast<int>(high), &error);
  if (error != 0 || failed(system_call(SYS_fcntl, high, F_SETFL, kMark))) {
    system_call(SYS_close, high);
    return false;
  }
  // order[event-counter]: with its identity.
  fd_.store(static_cast<int>(high), std::memory_order_release);
  return true;
}

void EventCounter::close() {
  const long fd = verified();
  fd_.store(-1, std::memory_order_relaxed);
  if (!failed(fd)) system_call(SYS_close, fd);
}

long EventCounter::verify(int fd) const {
  if (fd < 0) return -EBADF;
  long error = 0;
  const FileIdentity now = identify_file(fd, &error);
  if (error != 0) return error;
  if (now != identity_) return -EBADF;
  const long flags = system_call(SYS_fcntl, fd, F_GETFL);
  if (failed(flags)) return flags;
  return (flags & kMark) == kMark ? fd : -EBADF;
}

long EventCounter::verified() {
  const long fd = verify(fd_.load(std::memory_order_relaxed));
  if (failed(fd)) fd_.store(-1, std::memory_order_relaxed);
  return fd;
}

bool EventCounter::signal() const {
  // order[event-counter]: the identity that belongs to it.
  const long fd = verify(fd_.load(std::memory_order_acquire));
  const uint64_t one = 1;
  return !failed(fd) &&
         !failed(system_call(SYS_write, fd, reinterpret_cast<long>(&one), sizeof one));
}

void EventCounter::drain() {
  const long fd = verified();
  uint64_t count = 0;
  if (!failed(fd)) system_call(SYS_read, fd, reinterpret_cast<long>(&count), sizeof count);
}

}  // namespace elasticpool
