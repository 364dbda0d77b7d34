// A Vm that does what the kernel does, keeps its own account of which granules of the large zone
// are mapped, and refuses calls as the test has it written.
//
// A call that contradicts the account (mapped twice, taken back though not there, a stranger's
// range touched again) prints a line and counts as a violation.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <vector>

#include "base/units.h"
#include "os/vm.h"
#include "pagemap/zone.h"
#include "zones.h"

namespace elasticpool::test {

enum class Refusal { kNone, kNoMemory, kNoMemoryFromThereOn, kTaken };

class ScriptedVm {
 public:
  static ScriptedVm& instance() {
    static ScriptedVm vm;
    return vm;
  }

  void install() {
    set_vm(
        {[](uintptr_t a, size_t n) { return instance().map_at(a, n); },
         [](size_t n) { return instance().map_anywhere(n); },
         [](uintptr_t a, size_t n) { return instance().unmap(a, n); },
         [](uintptr_t a, size_t n) { return instance().decommit(a, n); },
         [](uintptr_t a, size_t n, uintptr_t b, size_t m) { return instance().remap(a, n, b, m); },
         kernel_vm().advise, kernel_vm().discard, kernel_vm().map_hugetlb_at,
         kernel_vm().populate});
  }

  // For when nothing of ours is mapped.
  void forget() { places_.assign(places_.size(), Place::kUnmapped); }

  // The call with this number from now on, counted from 1, is refused.
  void refuse(Refusal how, uint64_t call) {
    how_ = how;
    refused_call_ = call;
    calls_ = 0;
  }
  bool refused() const { return how_ != Refusal::kNone && calls_ >= refused_call_; }
  uint64_t calls() const { return calls_; }
  uint64_t violations() const { return violations_; }
  uint64_t mapped_bytes() const {
    uint64_t count = 0;
    for (const Place place : places_) count += place == Place::kMapped ? kGranuleBytes : 0;
    return count;
  }

 private:
  enum class Place : uint8_t { kUnmapped, kMapped, kStranger };

  // Whether this call is refused.
  bool next_call() {
    ++calls_;
    if (how_ == Refusal::kNone) return false;
    return how_ == Refusal::kNoMemoryFromThereOn ? calls_ >= refused_call_
                                                 : calls_ == refused_call_;
  }

  bool ours(uintptr_t address) const {
    return g_large_zone.base != 0 && address >= g_large_zone.base &&
           address < g_large_zone.base + places_.size() * kGranuleBytes;
  }

  void expect(const char* call, uintptr_t address, size_t bytes, Place place) {
    if (!ours(address)) return;
    for (size_t at = 0; at < bytes; at += kGranuleBytes) {
      if (place_at(address + at) == place) continue;
      ++violations_;
      std::printf("violation: %s(%#zx, %#zx) at %#zx: expected %d, is %d\n", call, address, bytes,
                  address + at, static_cast<int>(place), static_cast<int>(place_at(address + at)));
      return;
    }
  }

  void set(uintptr_t address, size_t bytes, Place place) {
    if (!ours(address)) return;
    for (size_t at = 0; at < bytes; at += kGranuleBytes) place_at(address + at) = place;
  }

  Place& place_at(uintptr_t address) {
    return places_.at((address - g_large_zone.base) / kGranuleBytes);
  }

  MapStatus refuse_place(uintptr_t address, size_t bytes) {
    if (how_ != Refusal::kTaken) return MapStatus::kNoMemory;
    set(address, bytes, Place::kStranger);
    return MapStatus::kTaken;
  }

  MapStatus map_at(uintptr_t address, size_t bytes) {
    const std::lock_guard guard(mutex_);
    expect("map_at", address, bytes, Place::kUnmapped);
    if (next_call()) return refuse_place(address, bytes);
    const MapStatus status = kernel_vm().map_at(address, bytes);
    if (status == MapStatus::kMapped) set(address, bytes, Place::kMapped);
    return status;
  }

  void* map_anywhere(size_t bytes) {
    const std::lock_guard guard(mutex_);
    return next_call() ? nullptr : kernel_vm().map_anywhere(bytes);
  }

  bool unmap(uintptr_t address, size_t bytes) {
    const std::lock_guard guard(mutex_);
    expect("unmap", address, bytes, Place::kMapped);
    if (next_call() || !kernel_vm().unmap(address, bytes)) return false;
    set(address, bytes, Place::kUnmapped);
    return true;
  }

  bool decommit(uintptr_t address, size_t bytes) {
    const std::lock_guard guard(mutex_);
    expect("decommit", address, bytes, Place::kMapped);
    if (!next_call()) return kernel_vm().decommit(address, bytes);
    // "Contents unspecified": then let them be neither the old ones nor zero.
    for (size_t at = 0; at < bytes; at += kGranuleBytes) {
      std::memset(reinterpret_cast<void*>(address + at), 0xee, 64);
    }
    return false;
  }

  MapStatus remap(uintptr_t from, size_t from_bytes, uintptr_t to, size_t to_bytes) {
    const std::lock_guard guard(mutex_);
    expect("remap from", from, from_bytes, Place::kMapped);
    if (from == to) {
      expect("remap behind", from + from_bytes, to_bytes - from_bytes, Place::kUnmapped);
      // Taken means here that the extent is several mappings; nobody is behind it.
      if (next_call()) return how_ == Refusal::kTaken ? MapStatus::kTaken : MapStatus::kNoMemory;
    } else {
      expect("remap to", to, to_bytes, Place::kUnmapped);
      if (next_call()) return refuse_place(to, to_bytes);
    }
    const MapStatus status = kernel_vm().remap(from, from_bytes, to, to_bytes);
    if (status == MapStatus::kMapped) {
      set(from, from_bytes, Place::kUnmapped);
      set(to, to_bytes, Place::kMapped);
    }
    return status;
  }

  // The first 32 GiB of the zone; tests use less.
  std::vector<Place> places_ = std::vector<Place>(32 * kGiB / kGranuleBytes);
  std::mutex mutex_;
  Refusal how_ = Refusal::kNone;
  uint64_t refused_call_ = 0;
  uint64_t calls_ = 0;
  uint64_t violations_ = 0;
};

// The extents of a process lie in one plan.
inline void use_test_zones() {
  [[maybe_unused]] static const bool once = (plan_zones(test_anchor(), {64, 64}), true);
}

}  // namespace elasticpool::test
