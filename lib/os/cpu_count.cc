// See cpu_count.h.
#include "os/cpu_count.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

#include "base/text_writer.h"
#include "os/process.h"

namespace elasticpool {
namespace {

constexpr size_t kTextBytesMax = 3072;
constexpr size_t kPathBytesMax = 512;

constinit std::atomic<size_t> g_by_mask{kCpusMax};
constinit std::atomic<size_t> g_by_quota{kCpusMax};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Moves behind the digits; false where there are none.
bool parse_decimal(const char*& cursor, uint64_t* value) {
  if (!is_digit(*cursor)) return false;
  *value = 0;
  for (; is_digit(*cursor); ++cursor) *value = *value * 10 + static_cast<uint64_t>(*cursor - '0');
  return true;
}

// The files of a group: "MOUNT/HIERARCHY/PATH/NAME" with the first `path_bytes` of the path.
struct Group {
  const char* mount;
  const char* hierarchy;
  const char* path;
  size_t path_bytes;

  // The length; 0 where there is no such file, or its name is longer than any of ours.
  size_t read(const char* name, char* text, size_t capacity) const {
    char file[kPathBytesMax];
    TextWriter out(file, sizeof file - 1);
    out.text(mount).text(hierarchy).bytes(path, path_bytes).text("/").text(name);
    if (out.truncated()) return 0;
    file[out.size()] = '\0';
    return read_small_file(file, text, capacity);
  }
};

size_t cpus_of_group_v2(const Group& group) {
  char text[64];
  return group.read("cpu.max", text, sizeof text) == 0 ? kCpusMax : cpus_of_max(text);
}

size_t cpus_of_group_v1(const Group& group) {
  char quota[32];
  char period[32];
  uint64_t quota_us = 0;
  uint64_t period_us = 0;
  if (group.read("cpu.cfs_quota_us", quota, sizeof quota) == 0) return kCpusMax;
  const char* cursor = quota;
  if (!parse_decimal(cursor, &quota_us)) return kCpusMax;  // -1: none
  if (group.read("cpu.cfs_period_us", period, sizeof period) == 0) return kCpusMax;
  cursor = period;
  return parse_decimal(cursor, &period_us) ? cpus_of_quota(quota_us, period_us) : kCpusMax;
}

// The group and all above it. In a container the mount shows only the lower end of the path: what
// is missing limits nothing, and the top of what is mounted is asked too.
template <typename CpusOfGroup>
size_t cpus_of_hierarchy(Group group, CpusOfGroup cpus_of_group) {
  size_t cpus = kCpusMax;
  for (;;) {
    while (group.path_bytes > 0 && group.path[group.path_bytes - 1] == '/') --group.path_bytes;
    cpus = std::min(cpus, cpus_of_group(group));
    if (group.path_bytes == 0) return cpus;
    while (group.path_bytes > 0 && group.path[group.path_bytes - 1] != '/') --group.path_bytes;
  }
}

// Whether "cpu" is in a list as "cpu,cpuacct".
bool names_cpu(const char* names, size_t bytes) {
  for (size_t at = 0; at < bytes;) {
    size_t end = at;
    while (end < bytes && names[end] != ',') ++end;
    if (end - at == 3 && memcmp(names + at, "cpu", 3) == 0) return true;
    at = end + 1;
  }
  return false;
}

// A line as "4:cpu,cpuacct:/path" (version 1), or "0::/path" (version 2).
size_t cpus_of_line(const char* line, size_t bytes, const char* mount) {
  const auto* names = static_cast<const char*>(memchr(line, ':', bytes));
  if (names == nullptr) return kCpusMax;
  ++names;
  const auto left = bytes - static_cast<size_t>(names - line);
  const auto* colon = static_cast<const char*>(memchr(names, ':', left));
  if (colon == nullptr) return kCpusMax;
  const char* path = colon + 1;
  const auto path_bytes = static_cast<size_t>(line + bytes - path);
  if (colon == names) {
    return std::min(cpus_of_hierarchy({mount, "", path, path_bytes}, cpus_of_group_v2),
                    cpus_of_hierarchy({mount, "/unified", path, path_bytes}, cpus_of_group_v2));
  }
  if (!names_cpu(names, static_cast<size_t>(colon - names))) return kCpusMax;
  return std::min(cpus_of_hierarchy({mount, "/cpu", path, path_bytes}, cpus_of_group_v1),
                  cpus_of_hierarchy({mount, "/cpu,cpuacct", path, path_bytes}, cpus_of_group_v1));
}

size_t cpus_of_groups(const char* text, const char* mount) {
  size_t cpus = kCpusMax;
  while (*text != '\0') {
    const size_t bytes = strcspn(text, "\n");
    cpus = std::min(cpus, cpus_of_line(text, bytes, mount));
    text += bytes + (text[bytes] == '\n');
  }
  return cpus;
}

}  // namespace

size_t cpus_of_mask(const char* status) {
  constexpr char kName[] = "\nCpus_allowed:";
  const char* cursor = strstr(status, kName);
  if (cursor == nullptr) return kCpusMax;
  cursor += sizeof kName - 1;
  while (*cursor == ' ' || *cursor == '\t') ++cursor;
  size_t cpus = 0;
  for (; *cursor != '\n'; ++cursor) {
    const char c = *cursor;
    if (c == ',') continue;
    unsigned digit = 0;
    if (is_digit(c)) {
      digit = static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<unsigned>(c - 'a') + 10;
    } else {
      return kCpusMax;  // the text is cut, or none of this kind
    }
    cpus += static_cast<size_t>(std::popcount(digit));
  }
  return cpus == 0 ? kCpusMax : std::min(cpus, kCpusMax);
}

size_t cpus_of_quota(uint64_t quota_us, uint64_t period_us) {
  if (quota_us == 0 || period_us == 0) return kCpusMax;
  const uint64_t cpus = quota_us / period_us + (quota_us % period_us != 0);
  return cpus < kCpusMax ? static_cast<size_t>(cpus) : kCpusMax;
}

size_t cpus_of_max(const char* cpu_max) {
  uint64_t quota_us = 0;
  uint64_t period_us = 0;
  if (!parse_decimal(cpu_max, &quota_us) || *cpu_max++ != ' ') return kCpusMax;
  return parse_decimal(cpu_max, &period_us) ? cpus_of_quota(quota_us, period_us) : kCpusMax;
}

UsableCpus count_usable_cpus(const CpuFiles& files) {
  char text[kTextBytesMax];
  UsableCpus cpus = {kCpusMax, kCpusMax};
  if (read_small_file(files.status, text, sizeof text) != 0) cpus.by_mask = cpus_of_mask(text);
  if (read_small_file(files.groups, text, sizeof text) != 0) {
    cpus.by_quota = cpus_of_groups(text, files.mount);
  }
  return cpus;
}

UsableCpus usable_cpus() {
  return {g_by_mask.load(std::memory_order_relaxed), g_by_quota.load(std::memory_order_relaxed)};
}

void count_own_cpus() {
  const UsableCpus cpus = count_usable_cpus({});
  g_by_mask.store(cpus.by_mask, std::memory_order_relaxed);
  g_by_quota.store(cpus.by_quota, std::memory_order_relaxed);
}

}  // namespace elasticpool
