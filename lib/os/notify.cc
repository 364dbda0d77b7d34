// See notify.h.
#include "os/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstdint>
#include <cstring>

#include "os/syscall.h"
#include "os/vm.h"

namespace elasticpool {
namespace {

constexpr char kSystemLog[] = "/dev/log";
// Facility user (1), severity warning (4): RFC 3164.
constexpr char kLogPriority[] = "<12>elasticpool: ";
constexpr size_t kLogBytesMax = 512;
// For each of two processes that do no more than a few system calls.
constexpr size_t kStackBytes = size_t{64} << 10;

struct Launch {
  const char* const* arguments;
  char* const* environment;
  char* second_stack_end;
};

void die_quietly(int status) {
  for (;;) system_call(SYS_exit, status);
}

// The caller's memory is shared: no libc, no errno. Handlers of the program would run in it.
int enter_command(void* context) {
  const auto& launch = *static_cast<const Launch*>(context);
  for (int number = 1; number < 65; ++number) {
    struct {
      uintptr_t handler;
      unsigned long flags;
      uintptr_t restorer;
      uint64_t mask;
    } fallback = {};
    system_call(SYS_rt_sigaction, number, reinterpret_cast<long>(&fallback), 0, sizeof(uint64_t));
  }
  const uint64_t none = 0;
  system_call(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&none), 0, sizeof none);
  system_call(SYS_execve, reinterpret_cast<long>(launch.arguments[0]),
              reinterpret_cast<long>(launch.arguments), reinterpret_cast<long>(launch.environment));
  die_quietly(127);
  return 0;
}

// Starts the command and ends: so that its child belongs to init.
int enter_go_between(void* context) {
  auto& launch = *static_cast<Launch*>(context);
  const int child = clone(enter_command, launch.second_stack_end, CLONE_VM | CLONE_VFORK, &launch);
  die_quietly(child < 0 ? 1 : 0);
  return 0;
}

size_t count_of(char* const* environment) {
  size_t count = 0;
  while (environment != nullptr && environment[count] != nullptr) ++count;
  return count;
}

void copy_environment(char* const* environment, const char* without, char** copy) {
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    if (strncmp(*environment, without, strlen(without)) != 0) *copy++ = *environment;
  }
  *copy = nullptr;
}

// Both stacks from the end of `memory` down.
bool launch_apart(const char* const* arguments, char** environment, char* end) {
  Launch launch = {arguments, environment, end};
  const uint64_t all = UINT64_MAX;
  uint64_t before = 0;
  system_call(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&all),
              reinterpret_cast<long>(&before), sizeof all);
  // No signal for its end: the program's wait() does not see it.
  const int child = clone(enter_go_between, end - kStackBytes, CLONE_VM | CLONE_VFORK, &launch);
  int status = 1;
  if (child > 0) {
    while (system_call(SYS_wait4, child, reinterpret_cast<long>(&status), __WCLONE, 0) == -EINTR) {
    }
  }
  system_call(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&before), 0, sizeof before);
  return child > 0 && status == 0;
}

}  // namespace

bool append_to_file(const char* path, const char* bytes, size_t count) {
  const long fd =
      system_call(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path),
                  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
  if (failed(fd)) return false;
  // A reader that goes between the two would raise SIGPIPE: a pipe is written to with it blocked.
  uint64_t pipe_mask = uint64_t{1} << (SIGPIPE - 1);
  uint64_t pending = 0;
  uint64_t before = 0;
  system_call(SYS_rt_sigpending, reinterpret_cast<long>(&pending), sizeof pending);
  system_call(SYS_rt_sigprocmask, SIG_BLOCK, reinterpret_cast<long>(&pipe_mask),
              reinterpret_cast<long>(&before), sizeof before);
  const long written =
      system_call(SYS_write, fd, reinterpret_cast<long>(bytes), static_cast<long>(count));
  if (written == -EPIPE && (pending & pipe_mask) == 0) {
    const timespec now{};
    system_call(SYS_rt_sigtimedwait, reinterpret_cast<long>(&pipe_mask), 0,
                reinterpret_cast<long>(&now), sizeof pipe_mask);
  }
  system_call(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&before), 0, sizeof before);
  system_call(SYS_close, fd);
  return written == static_cast<long>(count);
}

bool send_to_system_log(const char* bytes, size_t count) {
  char text[kLogBytesMax];
  const size_t prefix = sizeof kLogPriority - 1;
  if (count > sizeof text - prefix) count = sizeof text - prefix;
  memcpy(text, kLogPriority, prefix);
  memcpy(text + prefix, bytes, count);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, kSystemLog, sizeof kSystemLog);
  const long fd = system_call(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (failed(fd)) return false;
  const long sent =
      system_call(SYS_sendto, fd, reinterpret_cast<long>(text), static_cast<long>(prefix + count),
                  MSG_NOSIGNAL, reinterpret_cast<long>(&address), sizeof address);
  system_call(SYS_close, fd);
  return !failed(sent);
}

bool run_command(const Command& command) {
  const size_t variables = count_of(command.environment) + 1;
  const size_t page = page_bytes();
  const size_t bytes = (variables * sizeof(char*) + 2 * kStackBytes + page - 1) / page * page;
  void* memory = vm().map_anywhere(bytes);
  if (memory == nullptr) return false;
  auto** environment = static_cast<char**>(memory);
  copy_environment(command.environment, command.without, environment);
  const char* const arguments[] = {"/bin/sh",        "-c",   command.text, "elasticpool",
                                   command.argument, nullptr};
  const int saved_errno = errno;
  const bool launched = launch_apart(arguments, environment, static_cast<char*>(memory) + bytes);
  errno = saved_errno;
  vm().unmap(reinterpret_cast<uintptr_t>(memory), bytes);
  return launched;
}

}  // namespace elasticpool
