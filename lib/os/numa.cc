// See numa.h.
#include "os/numa.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/mempolicy.h>

#include <algorithm>
#include <atomic>

#include "base/bits.h"
#include "os/cpu.h"
#include "os/process.h"
#include "os/syscall.h"
#include "os/vm.h"

namespace elasticpool {
namespace {

constexpr size_t kCpusMax = 4096;
// As many as a kernel can be built for (CONFIG_NODES_SHIFT is 10 at most); one that knows fewer
// takes a longer mask if the rest is zero.
constexpr size_t kKernelNodesMax = 1024;
constexpr size_t kMaskWords = kKernelNodesMax / 64;
constexpr size_t kSamples = 16;

struct Libnuma {
  int (*available)();
  int (*node_of_cpu)(int cpu);
  int (*max_node)();
};

// Filled in by numa_start() before g_nodes says that there are several.
constinit NodeId g_node_of_cpu[kCpusMax] = {};
constinit NumaPlacement g_placement = NumaPlacement::kLocal;
// kInterleave: the nodes that this process may have pages of, as the kernel gave them.
constinit unsigned long g_allowed[kMaskWords] = {};
// kLocal: bit n says that node n (the kernel's number) takes pages.
constinit uint32_t g_takes_pages = 0;
// The kernel's number of the node that the process booted on.
constinit size_t g_boot_node = 0;
constinit std::atomic<size_t> g_nodes{1};

// Before all others.
constinit CpuId g_boot_cpu{};

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

bool load_libnuma(Libnuma* libnuma) {
  void* library = dlopen("libnuma.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return false;
  return find(library, "numa_available", &libnuma->available) &&
         find(library, "numa_node_of_cpu", &libnuma->node_of_cpu) &&
         find(library, "numa_max_node", &libnuma->max_node) && libnuma->available() >= 0;
}

// The bare call, not libnuma's functions: those allocate, and we are asked with locks held.
bool bind(uintptr_t address, size_t bytes, int mode, const unsigned long* mask, size_t mask_bits) {
  return !failed(system_call(SYS_mbind, static_cast<long>(address), static_cast<long>(bytes), mode,
                             reinterpret_cast<long>(mask), static_cast<long>(mask_bits), 0));
}

bool prefer(uintptr_t address, size_t bytes, size_t node) {
  const unsigned long mask = 1UL << node;
  return bind(address, bytes, MPOL_PREFERRED, &mask, sizeof mask * 8);
}

bool spread(uintptr_t address, size_t bytes) {
  return bind(address, bytes, MPOL_INTERLEAVE, g_allowed, kKernelNodesMax);
}

// Whether the process has a policy already. A kernel that does not say will not let us bind either.
bool somebody_else_decides() {
  int mode = MPOL_DEFAULT;
  const long result = system_call(SYS_get_mempolicy, reinterpret_cast<long>(&mode));
  return failed(result) || mode != MPOL_DEFAULT;
}

// Tries on a page of its own what will be asked for later: so all of "not permitted", "no such
// node", "no memory there" and "not in this cpuset" are found out here, whatever their order.
bool can_place(NumaPlacement placement, size_t nodes) {
  void* page = vm().map_anywhere(page_bytes());
  if (page == nullptr) return false;
  bool can = false;
  if (placement == NumaPlacement::kInterleave) {
    const long known = system_call(SYS_get_mempolicy, 0, reinterpret_cast<long>(g_allowed),
                                   static_cast<long>(kKernelNodesMax), 0, MPOL_F_MEMS_ALLOWED);
    can = !failed(known) && spread(address_of(page), page_bytes());
  } else {
    for (size_t node = 0; node < std::min(nodes, kNodesMax); ++node) {
      if (!prefer(address_of(page), page_bytes(), node)) continue;
      g_takes_pages |= uint32_t{1} << node;
      can = true;
    }
  }
  vm().unmap(address_of(page), page_bytes());
  return can;
}

bool start_several(NumaPlacement placement) {
  Libnuma libnuma{};
  if (!load_libnuma(&libnuma) || somebody_else_decides()) return false;
  const int max_node = libnuma.max_node();
  if (max_node < 1 || !can_place(placement, static_cast<size_t>(max_node) + 1)) return false;
  const auto row_of_cpu = [&libnuma](size_t cpu) {
    const int node = libnuma.node_of_cpu(static_cast<int>(cpu));
    return kernel_node_of(node < 0 ? 0 : static_cast<size_t>(node) % kNodesMax);
  };
  g_boot_node = row_of_cpu(index_of(g_boot_cpu));
  for (size_t cpu = 0; cpu < kCpusMax; ++cpu) {
    g_node_of_cpu[cpu] = NodeId{static_cast<uint8_t>(row_of_cpu(cpu))};
  }
  g_placement = placement;
  // order[numa]: all of the above is there before anybody reads it.
  g_nodes.store(static_cast<size_t>(max_node) + 1, std::memory_order_release);
  return true;
}

// The number of nodes if memory is placed by `placement`, else 1.
size_t nodes_placed(NumaPlacement placement) {
  // order[numa]: sees what start_several() filled in.
  const size_t nodes = g_nodes.load(std::memory_order_acquire);
  return nodes > 1 && g_placement == placement ? nodes : 1;
}

}  // namespace

void numa_boot() { g_boot_cpu = current_cpu(); }

size_t kernel_node_of(size_t node) {
  return node == 0 ? g_boot_node : node == g_boot_node ? 0 : node;
}

bool numa_start(NumaPlacement placement) {
  if (!host_has_several_nodes()) return false;
  const int saved_errno = errno;
  const bool started = start_several(placement);
  errno = saved_errno;
  return started;
}

NodeId numa_node_of(CpuId cpu) { return g_node_of_cpu[index_of(cpu) % kCpusMax]; }

// kInterleave names no node for a frame, though a frame on one node and the next on another would
// do as well. With huge pages the kernel does just that: it interleaves by the size of the page
// that it allocates. Without them it spreads single pages, so that no frame's bandwidth is one
// node's. And all frames have the same policy, so that neighbours stay one mapping; a process may
// have 65530 of those, which is 128 GiB of frames that differ.
// The price: addresses decide, so extents that hold one huge page each and lie two frames apart,
// those of 3 MiB in a row, have all of them on one node.
void numa_place(uintptr_t address, size_t bytes, NodeId node) {
  if (nodes_placed(NumaPlacement::kInterleave) > 1) {
    spread(address, bytes);
    return;
  }
  const size_t nodes = nodes_placed(NumaPlacement::kLocal);
  // Where nodes share a number (more than kNodesMax), the kernel's first touch knows better.
  if (nodes > 1 && nodes <= kNodesMax) prefer(address, bytes, kernel_node_of(index_of(node)));
}

void numa_spread(uintptr_t address, size_t bytes) {
  if (nodes_placed(NumaPlacement::kInterleave) > 1) spread(address, bytes);
}

bool numa_lies_elsewhere(uintptr_t address, size_t bytes) {
  const size_t nodes = nodes_placed(NumaPlacement::kLocal);
  if (nodes <= 1 || nodes > kNodesMax) return false;
  const size_t own = kernel_node_of(index_of(numa_node_of(current_cpu())));
  if ((g_takes_pages >> own & 1) == 0) return false;
  uintptr_t pages[kSamples];
  int node_of_page[kSamples];
  const size_t pages_in_range = bytes / page_bytes();
  for (size_t i = 0; i < kSamples; ++i) {
    pages[i] = address + pages_in_range * i / kSamples * page_bytes();
  }
  // Without a place to move to, it says where each page lies; -ENOENT for one that is not there.
  if (failed(system_call(SYS_move_pages, 0, kSamples, reinterpret_cast<long>(pages), 0,
                         reinterpret_cast<long>(node_of_page), 0))) {
    return false;
  }
  int elsewhere = 0;
  for (const int node : node_of_page) {
    if (node >= 0) elsewhere += static_cast<size_t>(node) == own ? -1 : 1;
  }
  return elsewhere > 0;
}

size_t numa_nodes() { return g_nodes.load(std::memory_order_relaxed); }

bool numa_is_local() { return nodes_placed(NumaPlacement::kLocal) > 1; }

}  // namespace elasticpool
