// Virtual memory, as a table of functions: the kernel in a process, a fake with scripted failures
// and its own memory in tests.
//
// Threads  any; the kernel's own functions are reentrant. set_vm() only before other threads.
// Errors   never through errno. Running out is `kNoMemory` or false, and the caller goes on.
// Cost     one system call each.
#pragma once

#include <cstddef>
#include <cstdint>

namespace elasticpool {

enum class MapStatus : uint8_t {
  kMapped,
  kTaken,     // somebody else has mapped a part of that range
  kNoMemory,  // the kernel refuses: RLIMIT_AS, overcommit, number of mappings
};

enum class PageAdvice : uint8_t {
  kHuge,   // MADV_HUGEPAGE
  kSmall,  // MADV_NOHUGEPAGE
  kSplit,  // the same, and what is a huge page becomes small ones now
};

// What a range is mapped with: pages of the usual size, which come with the first touch and go back
// one by one, or pages of the kernel's hugetlb pool, which are reserved at once and one piece each:
// no part of one can be unmapped, decommitted, discarded, advised or moved.
enum class PageSize : uint8_t { kBase, k2MiB, k1GiB };

struct Vm {
  // Readable, writable, zeroed pages at exactly [address, address + bytes); nothing that is mapped
  // there is replaced.
  MapStatus (*map_at)(uintptr_t address, size_t bytes);
  // The same wherever the kernel likes; nullptr when it refuses.
  void* (*map_anywhere)(size_t bytes);
  // The range is free for others. False: the kernel could not (too many mappings); still mapped.
  bool (*unmap)(uintptr_t address, size_t bytes);
  // Pages go back, the range stays mapped and reads as zero. False: not returned, still mapped,
  // contents unspecified.
  bool (*decommit)(uintptr_t address, size_t bytes);
  // Moves pages, not bytes, to [to, to + to_bytes), which must be unmapped; the old range is
  // unmapped by it, what is new reads as zero. from == to grows or shrinks in place.
  MapStatus (*remap)(uintptr_t from, size_t from_bytes, uintptr_t to, size_t to_bytes);
  // How large the pages of a mapped range should be. False: the kernel knows no such thing.
  bool (*advise)(uintptr_t address, size_t bytes, PageAdvice advice);
  // As decommit, for a range that has been advised: its mapping stays one, and advised.
  bool (*discard)(uintptr_t address, size_t bytes);
  // As map_at, with pages of the pool. address and bytes: multiples of their size, which is not
  // kBase. kNoMemory: none of them, for whatever reason; usual ones may well be had.
  MapStatus (*map_hugetlb_at)(uintptr_t address, size_t bytes, PageSize pages);
  // The pages of a mapped range are there from now on, where the policy of the range (NUMA) wants
  // them. False: they cannot be had though they are reserved, and a touch would be the end of the
  // process (SIGBUS), as in a control group that may not use them. True where the kernel does not
  // know how to say that.
  bool (*populate)(uintptr_t address, size_t bytes);
};

// The kernel's.
const Vm& kernel_vm();
// What the layers above use: the kernel's unless a test says otherwise.
const Vm& vm();
void set_vm(const Vm& replacement);

inline MapStatus map_pages_at(uintptr_t address, size_t bytes, PageSize pages) {
  return pages == PageSize::kBase ? vm().map_at(address, bytes)
                                  : vm().map_hugetlb_at(address, bytes, pages);
}

// The size of a page of this kernel; a power of two.
size_t page_bytes();

}  // namespace elasticpool
