// The zones and frame heaps that tests of slabs share; both live as long as the process.
#pragma once

#include "fake_vm.h"
#include "slab/slab.h"
#include "zones.h"

namespace elasticpool::test {

inline FakeVm& slab_vm() {
  static FakeVm* fake = [] {
    auto* vm = new FakeVm;
    plan_zones_anew(*vm, kZoneSides, test_anchor());
    return vm;
  }();
  return *fake;
}

inline constexpr NodeId kTestNode{0};

inline ClassId class_at(size_t index) { return ClassId{static_cast<uint8_t>(index)}; }

inline char* block_at(const Slab* slab, size_t index) {
  return reinterpret_cast<char*>(slab->start + index * block_bytes_of(slab->class_id));
}

}  // namespace elasticpool::test
