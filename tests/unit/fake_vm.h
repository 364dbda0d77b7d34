// A Vm for tests of any layer: the kernel's, with an account of what is mapped, and calls that fail
// as the test has it written.
//
// Threads   calls: any. One FakeVm at a time, made and destroyed while nobody else allocates.
// Account   what map_at() mapped and nobody unmapped. A call on a range that is not in it fails the
//           test. map_anywhere() is not in it: its users keep what they get for good.
// Hugetlb   map_hugetlb_at() maps usual pages and remembers that they are to be of the pool. A call
//           on a part of such a page, or other than unmap() on the whole of it, fails the test.
// Failure   a failed call changes nothing, but a failed decommit leaves rubbish: "contents
//           unspecified".
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "base/units.h"
#include "os/vm.h"

namespace elasticpool::test {

enum class VmCall : uint8_t {
  kMapAt,
  kMapAnywhere,
  kUnmap,
  kDecommit,
  kRemap,
  kMapHugetlbAt,
  kPopulate,
};
inline constexpr size_t kVmCalls = 7;

struct Range {
  uintptr_t start = 0;
  uintptr_t end = 0;
};

// A set of addresses, as ranges.
class Ranges {
 public:
  void add(uintptr_t start, size_t bytes) {
    remove(start, bytes);
    end_of_[start] = start + bytes;
  }

  void remove(uintptr_t start, size_t bytes) {
    split(start);
    split(start + bytes);
    end_of_.erase(end_of_.lower_bound(start), end_of_.lower_bound(start + bytes));
  }

  // How many bytes of the range are in the set.
  size_t bytes_in(uintptr_t start, size_t bytes) const {
    size_t sum = 0;
    const uintptr_t end = bytes < UINTPTR_MAX - start ? start + bytes : UINTPTR_MAX;
    auto range = end_of_.upper_bound(start);
    if (range != end_of_.begin()) --range;
    for (; range != end_of_.end() && range->first < end; ++range) {
      const uintptr_t low = std::max(range->first, start);
      const uintptr_t high = std::min(range->second, end);
      if (low < high) sum += high - low;
    }
    return sum;
  }

  bool contains(uintptr_t start, size_t bytes) const { return bytes_in(start, bytes) == bytes; }
  const std::map<uintptr_t, uintptr_t>& end_of() const { return end_of_; }

 private:
  void split(uintptr_t at) {
    auto range = end_of_.upper_bound(at);
    if (range == end_of_.begin()) return;
    --range;
    if (range->first == at || range->second <= at) return;
    end_of_[at] = range->second;
    range->second = at;
  }

  std::map<uintptr_t, uintptr_t> end_of_;
};

class FakeVm {
 public:
  static constexpr uint64_t kFromThereOn = UINT64_MAX / 2;

  FakeVm() {
    installed = this;
    set_vm({[](uintptr_t at, size_t bytes) { return installed->map_at(at, bytes); },
            [](size_t bytes) { return installed->map_anywhere(bytes); },
            [](uintptr_t at, size_t bytes) { return installed->unmap(at, bytes); },
            [](uintptr_t at, size_t bytes) { return installed->decommit(at, bytes); },
            [](uintptr_t from, size_t from_bytes, uintptr_t to, size_t to_bytes) {
              return installed->remap(from, from_bytes, to, to_bytes);
            },
            [](uintptr_t at, size_t bytes, PageAdvice advice) {
              return installed->advise(at, bytes, advice);
            },
            [](uintptr_t at, size_t bytes) { return installed->discard(at, bytes); },
            [](uintptr_t at, size_t bytes, PageSize pages) {
              return installed->map_hugetlb_at(at, bytes, pages);
            },
            [](uintptr_t at, size_t bytes) { return installed->populate(at, bytes); }});
  }
  ~FakeVm() {
    set_vm(kernel_vm());
    installed = nullptr;
  }
  FakeVm(const FakeVm&) = delete;
  FakeVm& operator=(const FakeVm&) = delete;

  // The `first`-th call of that function from now on, counted from 1, and the count - 1 after it.
  // kTaken is for functions that return a MapStatus.
  void fail(VmCall call, uint64_t first, uint64_t count = 1, MapStatus how = MapStatus::kNoMemory) {
    const std::lock_guard guard(mutex_);
    script(call) = {first, count, how, 0};
  }
  void fail_nothing() {
    const std::lock_guard guard(mutex_);
    scripts_ = {};
  }
  // Calls of that function since the last fail() of it or fail_nothing().
  uint64_t calls(VmCall call) const {
    const std::lock_guard guard(mutex_);
    return scripts_[static_cast<size_t>(call)].calls;
  }

  bool is_mapped(uintptr_t start, size_t bytes) const {
    const std::lock_guard guard(mutex_);
    return mapped_.contains(start, bytes);
  }
  size_t mapped_bytes_in(uintptr_t start, size_t bytes) const {
    const std::lock_guard guard(mutex_);
    return mapped_.bytes_in(start, bytes);
  }
  size_t hugetlb_bytes_in(uintptr_t start, size_t bytes) const {
    const std::lock_guard guard(mutex_);
    return pages_2m_.bytes_in(start, bytes) + pages_1g_.bytes_in(start, bytes);
  }
  size_t mapped_bytes() const { return mapped_bytes_in(0, UINTPTR_MAX); }
  void unmap_all() {
    const std::lock_guard guard(mutex_);
    for (const auto& [start, end] : mapped_.end_of()) kernel_vm().unmap(start, end - start);
    mapped_ = {};
    pages_2m_ = {};
    pages_1g_ = {};
  }

  // The ranges that decommit() was asked for, in order; for the caller to clear.
  std::vector<Range> decommitted;

 private:
  struct Script {
    uint64_t first = 0;
    uint64_t count = 0;
    MapStatus how = MapStatus::kMapped;
    uint64_t calls = 0;
  };

  Script& script(VmCall call) { return scripts_[static_cast<size_t>(call)]; }

  // What the script says of this call; kMapped: go on.
  MapStatus next(VmCall call) {
    Script& written = script(call);
    ++written.calls;
    const bool fails =
        written.calls >= written.first && written.calls - written.first < written.count;
    return fails ? written.how : MapStatus::kMapped;
  }

  void expect_mapped(const char* call, uintptr_t start, size_t bytes) const {
    EXPECT_TRUE(mapped_.contains(start, bytes))
        << call << " of " << bytes << " bytes at " << std::hex << start << ": not mapped";
  }

  // For calls that the kernel refuses on a hugetlb page, or does worse.
  void expect_usual_pages(const char* call, uintptr_t start, size_t bytes) const {
    EXPECT_EQ(pages_2m_.bytes_in(start, bytes) + pages_1g_.bytes_in(start, bytes), 0U)
        << call << " of " << bytes << " bytes at " << std::hex << start << ": a hugetlb page";
  }

  void expect_whole(const Ranges& pages, size_t page, uintptr_t start, size_t bytes) const {
    if (pages.bytes_in(start, bytes) == 0) return;
    EXPECT_TRUE(start % page == 0 && bytes % page == 0)
        << "unmap of " << bytes << " bytes at " << std::hex << start << ": a part of a page";
  }

  MapStatus map_at(uintptr_t start, size_t bytes) {
    const std::lock_guard guard(mutex_);
    const MapStatus scripted = next(VmCall::kMapAt);
    if (scripted != MapStatus::kMapped) return scripted;
    const MapStatus status = kernel_vm().map_at(start, bytes);
    if (status == MapStatus::kMapped) mapped_.add(start, bytes);
    return status;
  }

  void* map_anywhere(size_t bytes) {
    const std::lock_guard guard(mutex_);
    if (next(VmCall::kMapAnywhere) != MapStatus::kMapped) return nullptr;
    return kernel_vm().map_anywhere(bytes);
  }

  bool unmap(uintptr_t start, size_t bytes) {
    const std::lock_guard guard(mutex_);
    expect_mapped("unmap", start, bytes);
    expect_whole(pages_2m_, kFrameBytes, start, bytes);
    expect_whole(pages_1g_, kGiB, start, bytes);
    if (next(VmCall::kUnmap) != MapStatus::kMapped) return false;
    if (!kernel_vm().unmap(start, bytes)) return false;
    mapped_.remove(start, bytes);
    pages_2m_.remove(start, bytes);
    pages_1g_.remove(start, bytes);
    return true;
  }

  bool decommit(uintptr_t start, size_t bytes) {
    const std::lock_guard guard(mutex_);
    expect_mapped("decommit", start, bytes);
    expect_usual_pages("decommit", start, bytes);
    decommitted.push_back({start, start + bytes});
    if (next(VmCall::kDecommit) == MapStatus::kMapped) return kernel_vm().decommit(start, bytes);
    memset(reinterpret_cast<void*>(start), 0xEE, bytes);
    return false;
  }

  bool advise(uintptr_t start, size_t bytes, PageAdvice advice) {
    const std::lock_guard guard(mutex_);
    expect_mapped("advise", start, bytes);
    expect_usual_pages("advise", start, bytes);
    return kernel_vm().advise(start, bytes, advice);
  }

  // Scripted and noted as decommit.
  bool discard(uintptr_t start, size_t bytes) {
    const std::lock_guard guard(mutex_);
    expect_mapped("discard", start, bytes);
    expect_usual_pages("discard", start, bytes);
    decommitted.push_back({start, start + bytes});
    if (next(VmCall::kDecommit) == MapStatus::kMapped) return kernel_vm().discard(start, bytes);
    return false;
  }

  MapStatus remap(uintptr_t from, size_t from_bytes, uintptr_t to, size_t to_bytes) {
    const std::lock_guard guard(mutex_);
    expect_mapped("remap", from, from_bytes);
    expect_usual_pages("remap", from, from_bytes);
    const MapStatus scripted = next(VmCall::kRemap);
    if (scripted != MapStatus::kMapped) return scripted;
    const MapStatus status = kernel_vm().remap(from, from_bytes, to, to_bytes);
    if (status == MapStatus::kMapped) {
      mapped_.remove(from, from_bytes);
      mapped_.add(to, to_bytes);
    }
    return status;
  }

  MapStatus map_hugetlb_at(uintptr_t start, size_t bytes, PageSize pages) {
    const std::lock_guard guard(mutex_);
    EXPECT_NE(pages, PageSize::kBase);
    const size_t page = pages == PageSize::k1GiB ? kGiB : kFrameBytes;
    EXPECT_TRUE(start % page == 0 && bytes % page == 0) << std::hex << start << " " << bytes;
    const MapStatus scripted = next(VmCall::kMapHugetlbAt);
    if (scripted != MapStatus::kMapped) return scripted;
    const MapStatus status = kernel_vm().map_at(start, bytes);
    if (status != MapStatus::kMapped) return status;
    mapped_.add(start, bytes);
    (pages == PageSize::k1GiB ? pages_1g_ : pages_2m_).add(start, bytes);
    return status;
  }

  // Nothing is touched, so that 1 GiB takes no memory.
  bool populate(uintptr_t start, size_t bytes) {
    const std::lock_guard guard(mutex_);
    expect_mapped("populate", start, bytes);
    return next(VmCall::kPopulate) == MapStatus::kMapped;
  }

  static inline FakeVm* installed = nullptr;

  mutable std::mutex mutex_;
  std::array<Script, kVmCalls> scripts_{};
  Ranges mapped_;
  Ranges pages_2m_;
  Ranges pages_1g_;
};

}  // namespace elasticpool::test
