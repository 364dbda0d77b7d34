// See output.h.
#include "os/output.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "os/syscall.h"

namespace elasticpool {
namespace {

struct FileIdentity {
  bool known = false;
  unsigned long device = 0;
  unsigned long inode = 0;
};

constinit FileIdentity g_stderr;

FileIdentity identify(int fd) {
  struct stat status;
  if (failed(system_call(SYS_fstat, fd, reinterpret_cast<long>(&status)))) return {};
  return {true, status.st_dev, status.st_ino};
}

bool write_all(int fd, const char* bytes, size_t count) {
  while (count > 0) {
    const long written =
        system_call(SYS_write, fd, reinterpret_cast<long>(bytes), static_cast<long>(count));
    if (written == -EINTR) continue;
    if (failed(written) || written == 0) return false;
    bytes += written;
    count -= static_cast<size_t>(written);
  }
  return true;
}

}  // namespace

void output_boot() { g_stderr = identify(2); }

void write_stderr(const char* bytes, size_t count) {
  const FileIdentity now = identify(2);
  if (!g_stderr.known || !now.known || now.device != g_stderr.device ||
      now.inode != g_stderr.inode) {
    return;
  }
  write_all(2, bytes, count);
}

OutputFile::OutputFile(const char* path) {
  const long fd = system_call(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path),
                              O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
  fd_ = failed(fd) ? -1 : static_cast<int>(fd);
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) system_call(SYS_close, fd_);
}

bool OutputFile::write(const char* bytes, size_t count) const {
  return fd_ >= 0 && write_all(fd_, bytes, count);
}

}  // namespace elasticpool
