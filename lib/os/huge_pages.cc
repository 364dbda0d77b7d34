// See huge_pages.h.
#include "os/huge_pages.h"

#include <atomic>
#include <cstring>

#include "os/process.h"

namespace elasticpool {
namespace {

constinit std::atomic<HostHugePages> g_host{HostHugePages::kNever};

HostHugePages read_host() {
  char text[64];
  const char* const path = "/sys/kernel/mm/transparent_hugepage/enabled";
  if (read_small_file(path, text, sizeof text) == 0) return HostHugePages::kNever;
  if (strstr(text, "[always]") != nullptr) return HostHugePages::kAlways;
  if (strstr(text, "[madvise]") != nullptr) return HostHugePages::kWhereAdvised;
  return HostHugePages::kNever;
}

}  // namespace

void huge_pages_boot() { g_host.store(read_host(), std::memory_order_relaxed); }

HostHugePages host_huge_pages() { return g_host.load(std::memory_order_relaxed); }

}  // namespace elasticpool
