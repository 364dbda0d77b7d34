// See cpu_count.h.
#include "os/cpu_count.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

#include "os/control_group.h"
#include "os/kernel_text.h"
#include "os/process.h"

namespace elasticpool {
namespace {

constexpr size_t kTextBytesMax = 3072;

constinit std::atomic<size_t> g_by_mask{kCpusMax};
constinit std::atomic<size_t> g_by_quota{kCpusMax};

// Both controllers of CPU time may be mounted as one.
constexpr GroupController kCpuController = {"cpu", {"/cpu", "/cpu,cpuacct"}};

size_t cpus_of_group_v2(const ControlGroup& group) {
  char text[64];
  return group.read("cpu.max", text, sizeof text) == 0 ? kCpusMax : cpus_of_max(text);
}

size_t cpus_of_group_v1(const ControlGroup& group) {
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
bool count_hierarchy(void* context, ControlGroup group) {
  auto* cpus = static_cast<size_t*>(context);
  do {
    *cpus = std::min(*cpus, group.is_v2 ? cpus_of_group_v2(group) : cpus_of_group_v1(group));
  } while (group.ascend());
  return false;
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
  visit_hierarchies(files.groups, files.mount, kCpuController, count_hierarchy, &cpus.by_quota);
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
