// The address plan under the tests of slabs and what stands on them: planned once a process.
#pragma once

#include "base/units.h"
#include "os/cpu.h"
#include "os/sync.h"
#include "os/vm.h"
#include "pagemap/zone.h"
#include "percpu/cpu_cache.h"
#include "slab/slab.h"
#include "zones.h"

namespace elasticpool::test {

inline void plan_test_zones() {
  static const bool planned = [] {
    install_lock_hooks();
    cpu_boot();
    plan_zones(test_anchor(), kZoneSides);
    return true;
  }();
  static_cast<void>(planned);
}

inline SlabStats slab_stats_of(ClassId id) {
  SlabTable table;
  slab_stats(&table);
  return table.classes[index_of(id)];
}

// A system that has nothing more to give; what was given can still be taken back.
inline const Vm& refusing_vm() {
  static const Vm refusing = [] {
    Vm table = kernel_vm();
    table.map_at = [](uintptr_t, size_t) { return MapStatus::kNoMemory; };
    table.map_anywhere = [](size_t) -> void* { return nullptr; };
    table.remap = [](uintptr_t, size_t, uintptr_t, size_t) { return MapStatus::kNoMemory; };
    return table;
  }();
  return refusing;
}

// While it lives the system refuses.
class Refusal {
 public:
  Refusal() { set_vm(refusing_vm()); }
  ~Refusal() { set_vm(kernel_vm()); }
  Refusal(const Refusal&) = delete;
  Refusal& operator=(const Refusal&) = delete;
};

}  // namespace elasticpool::test
