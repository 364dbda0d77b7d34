// See kept_file.h.
#include "os/kept_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "os/syscall.h"

namespace elasticpool {

FileIdentity identify_file(int fd, long* error) {
  struct stat status;
  const long result = system_call(SYS_fstat, fd, reinterpret_cast<long>(&status));
  *error = failed(result) ? result : 0;
  if (failed(result)) return {};
  return {true, status.st_dev, status.st_ino};
}

bool is_forbidden(long error) { return error == -EPERM || error == -EACCES || error == -ENOSYS; }

long KeptFile::open(const char* path, int flags) {
  close();
  const long fd =
      system_call(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path), flags | O_CLOEXEC | O_NOCTTY);
  return failed(fd) ? fd : adopt(static_cast<int>(fd));
}

long KeptFile::adopt(int fd) {
  close();
  const long high = system_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, kLeastDescriptor);
  system_call(SYS_close, fd);
  if (failed(high)) return high;
  fd_ = static_cast<int>(high);
  long error = 0;
  identity_ = identify_file(fd_, &error);
  if (error != 0) {
    system_call(SYS_close, fd_);
    fd_ = -1;
  }
  return error;
}

void KeptFile::close() {
  if (is_open() && !failed(verified())) system_call(SYS_close, fd_);
  fd_ = -1;
}

long KeptFile::verified() {
  if (!is_open()) return -EBADF;
  long error = 0;
  const FileIdentity now = identify_file(fd_, &error);
  if (now == identity_) return fd_;
  fd_ = -1;
  return error != 0 ? error : -EBADF;
}

long KeptFile::read(char* text, size_t capacity) {
  text[0] = '\0';
  const long fd = verified();
  if (failed(fd)) return fd;
  const long count = system_call(SYS_pread64, fd, reinterpret_cast<long>(text),
                                 static_cast<long>(capacity - 1), 0);
  if (!failed(count)) text[count] = '\0';
  return count;
}

}  // namespace elasticpool
