// See process.h.
#include "os/process.h"

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "os/syscall.h"
#include "os/vm.h"

namespace elasticpool {
namespace {

struct rusage usage() {
  struct rusage result = {};
  system_call(SYS_getrusage, RUSAGE_SELF, reinterpret_cast<long>(&result));
  return result;
}

uint64_t parse_decimal(const char*& cursor) {
  while (*cursor == ' ') ++cursor;
  uint64_t value = 0;
  while (*cursor >= '0' && *cursor <= '9')
    value = value * 10 + static_cast<uint64_t>(*cursor++ - '0');
  return value;
}

}  // namespace

PageFaults page_faults() {
  const struct rusage used = usage();
  return {static_cast<uint64_t>(used.ru_minflt), static_cast<uint64_t>(used.ru_majflt)};
}

Residency residency() {
  Residency result;
  result.peak_resident_bytes = static_cast<uint64_t>(usage().ru_maxrss) * 1024;
  char text[128];
  if (read_small_file("/proc/self/statm", text, sizeof text) == 0) return result;
  const char* cursor = text;
  result.mapped_bytes = parse_decimal(cursor) * page_bytes();
  result.resident_bytes = parse_decimal(cursor) * page_bytes();
  if (result.peak_resident_bytes < result.resident_bytes) {
    result.peak_resident_bytes = result.resident_bytes;
  }
  return result;
}

// The links of a folder count the folders in it, one a thread.
size_t thread_count() {
  struct stat status;
  if (failed(system_call(SYS_newfstatat, AT_FDCWD, reinterpret_cast<long>("/proc/self/task"),
                         reinterpret_cast<long>(&status), 0))) {
    return 0;
  }
  return status.st_nlink > 2 ? status.st_nlink - 2 : 0;
}

int process_id() { return static_cast<int>(system_call(SYS_getpid)); }

int thread_id() { return static_cast<int>(system_call(SYS_gettid)); }

bool is_secure_process() { return getauxval(AT_SECURE) != 0; }

size_t read_small_file(const char* path, char* buffer, size_t capacity) {
  if (capacity == 0) return 0;
  const long fd =
      system_call(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path), O_RDONLY | O_CLOEXEC);
  if (failed(fd)) return 0;
  const long count =
      system_call(SYS_read, fd, reinterpret_cast<long>(buffer), static_cast<long>(capacity - 1));
  system_call(SYS_close, fd);
  const size_t length = failed(count) ? 0 : static_cast<size_t>(count);
  buffer[length] = '\0';
  return length;
}

}  // namespace elasticpool
