// See huge_pages.h.
#include "os/huge_pages.h"

#include <atomic>
#include <cstring>

#include "os/process.h"

namespace elasticpool {
namespace {

constexpr uint8_t kUnknown = UINT8_MAX;
constinit std::atomic<uint8_t> g_host{kUnknown};

HostHugePages read_host() {
  char text[64];
  const char* const path = "/sys/kernel/mm/transparent_hugepage/enabled";
  if (read_small_file(path, text, sizeof text) == 0) return HostHugePages::kNever;
  if (strstr(text, "[always]") != nullptr) return HostHugePages::kAlways;
  if (strstr(text, "[madvise]") != nullptr) return HostHugePages::kWhereAdvised;
  return HostHugePages::kNever;
}

}  // namespace

HostHugePages host_huge_pages() {
  uint8_t host = g_host.load(std::memory_order_relaxed);
  if (host == kUnknown) {
    host = static_cast<uint8_t>(read_host());
    g_host.store(host, std::memory_order_relaxed);
  }
  return static_cast<HostHugePages>(host);
}

}  // namespace elasticpool
