// See numa.h.
#include "os/numa.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/mempolicy.h>

#include <atomic>

#include "os/process.h"

namespace elasticpool {
namespace {

constexpr size_t kCpusMax = 4096;

struct Libnuma {
  int (*available)();
  int (*node_of_cpu)(int cpu);
  int (*max_node)();
  // The bare call: numa_tonode_memory() allocates, and we are asked with locks held.
  long (*mbind)(void* start, unsigned long bytes, int mode, const unsigned long* nodes,
                unsigned long nodes_max, unsigned flags);
};

constinit Libnuma g_libnuma{};
constinit NodeId g_node_of_cpu[kCpusMax] = {};
constinit std::atomic<size_t> g_nodes{1};

// "0" is one node; "0-1" or "0,2" are several.
bool host_has_several_nodes() {
  char online[64];
  if (read_small_file("/sys/devices/system/node/online", online, sizeof online) == 0) return false;
  for (const char* c = online; *c != '\0' && *c != '\n'; ++c) {
    if (*c == '-' || *c == ',') return true;
  }
  return false;
}

template <typename Function>
bool find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  return *function != nullptr;
}

bool load_libnuma() {
  void* library = dlopen("libnuma.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return false;
  return find(library, "numa_available", &g_libnuma.available) &&
         find(library, "numa_node_of_cpu", &g_libnuma.node_of_cpu) &&
         find(library, "numa_max_node", &g_libnuma.max_node) &&
         find(library, "mbind", &g_libnuma.mbind) && g_libnuma.available() >= 0;
}

}  // namespace

bool numa_start() {
  if (!host_has_several_nodes()) return false;
  const int saved_errno = errno;
  const bool loaded = load_libnuma();
  if (loaded) {
    for (size_t cpu = 0; cpu < kCpusMax; ++cpu) {
      const int node = g_libnuma.node_of_cpu(static_cast<int>(cpu));
      g_node_of_cpu[cpu] = NodeId{static_cast<uint8_t>(node < 0 ? 0 : node % int{kNodesMax})};
    }
    // order[numa]: the table and the functions are there before anybody reads them.
    g_nodes.store(static_cast<size_t>(g_libnuma.max_node()) + 1, std::memory_order_release);
  }
  errno = saved_errno;
  return loaded;
}

NodeId numa_node_of(CpuId cpu) { return g_node_of_cpu[index_of(cpu) % kCpusMax]; }

void numa_place(uintptr_t address, size_t bytes, NodeId node) {
  // order[numa]: sees what numa_start() filled in.
  const size_t nodes = g_nodes.load(std::memory_order_acquire);
  // Where nodes share a number (more than kNodesMax), the kernel's first touch knows better.
  if (nodes <= 1 || nodes > kNodesMax) return;
  const int saved_errno = errno;
  const unsigned long mask = 1UL << index_of(node);
  g_libnuma.mbind(reinterpret_cast<void*>(address), bytes, MPOL_PREFERRED, &mask, sizeof mask * 8,
                  0);
  errno = saved_errno;
}

size_t numa_nodes() { return g_nodes.load(std::memory_order_relaxed); }

}  // namespace elasticpool
