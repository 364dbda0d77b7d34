// Looks into /proc.
#include "ring/process_life.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "ring/crc32c.h"

namespace elasticpool {
namespace {

constexpr size_t kStatBytes = 1024;

size_t read_file(const char* path, char* text, size_t capacity) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t got = read(fd, text, capacity - 1);
  close(fd);
  const size_t length = got > 0 ? static_cast<size_t>(got) : 0;
  text[length] = '\0';
  return length;
}

// Fields 3 and 22 of /proc/PID/stat, behind the name in parentheses, which may hold anything.
bool read_stat(uint32_t process, char* state, uint64_t* start_time) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%u/stat", process);
  char text[kStatBytes];
  if (read_file(path, text, sizeof(text)) == 0) return false;
  const char* p = strrchr(text, ')');
  if (p == nullptr || p[1] != ' ') return false;
  *state = p[2];
  for (int field = 2; field < 22 && p != nullptr; ++field) p = strchr(p + 1, ' ');
  if (p == nullptr) return false;
  *start_time = strtoull(p + 1, nullptr, 10);
  return true;
}

uint64_t own_namespace() {
  struct stat status {};
  return stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

}  // namespace

ProcessIdentity own_identity() { return identity_of(static_cast<uint32_t>(getpid())); }

ProcessIdentity identity_of(uint32_t process) {
  ProcessIdentity identity;
  identity.process = process;
  identity.pid_namespace = own_namespace();
  char state = 0;
  read_stat(identity.process, &state, &identity.start_time);
  return identity;
}

bool is_gone(const ProcessIdentity& identity) {
  if (identity.process == 0) return true;
  const uint64_t here = own_namespace();
  if (identity.pid_namespace != 0 && here != 0 && identity.pid_namespace != here) return false;
  if (kill(static_cast<pid_t>(identity.process), 0) != 0 && errno == ESRCH) return true;
  char state = 0;
  uint64_t start_time = 0;
  if (!read_stat(identity.process, &state, &start_time)) return false;
  if (state == 'Z' || state == 'X') return true;
  return identity.start_time != 0 && start_time != identity.start_time;
}

uint32_t boot_number() {
  char text[64];
  const size_t length = read_file("/proc/sys/kernel/random/boot_id", text, sizeof(text));
  return length == 0 ? 0 : crc32c(text, length) | 1;
}

}  // namespace elasticpool
