// See output.h.
#include "os/output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>

#include <cstdint>

#include "os/kept_file.h"
#include "os/syscall.h"

namespace elasticpool {
namespace {

constinit FileIdentity g_stderr;

FileIdentity identify(int fd) {
  long error = 0;
  return identify_file(fd, &error);
}

constexpr uint64_t kSigpipe = uint64_t{1} << (SIGPIPE - 1);

long signal_mask(int how, const uint64_t* set, uint64_t* old_set) {
  return system_call(SYS_rt_sigprocmask, how, reinterpret_cast<long>(set),
                     reinterpret_cast<long>(old_set), sizeof *set);
}

// Nobody may be reading any more (`program 2>&1 | head -1`); the program must not die of our words.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    uint64_t pending = 0;
    system_call(SYS_rt_sigpending, reinterpret_cast<long>(&pending), sizeof pending);
    is_ours_ = (pending & kSigpipe) == 0 && !failed(signal_mask(SIG_BLOCK, &kSigpipe, &mask_));
  }
  ~WithoutSigpipe() {
    if (!is_ours_) return;
    const timespec now{};
    system_call(SYS_rt_sigtimedwait, reinterpret_cast<long>(&kSigpipe), 0,
                reinterpret_cast<long>(&now), sizeof kSigpipe);
    signal_mask(SIG_SETMASK, &mask_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  uint64_t mask_ = 0;
  bool is_ours_;
};

bool write_all(int fd, const char* bytes, size_t count) {
  const WithoutSigpipe guard;
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
  if (!now.known || now != g_stderr) return;
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
