// The kernel's half of vm.h.
#include "os/vm.h"

#include <errno.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "base/units.h"
#include "os/syscall.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif
#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace elasticpool {
namespace {

long map(uintptr_t address, size_t bytes, int flags) {
  return system_call(SYS_mmap, static_cast<long>(address), static_cast<long>(bytes),
                     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

bool kernel_unmap(uintptr_t address, size_t bytes) {
  return !failed(system_call(SYS_munmap, static_cast<long>(address), static_cast<long>(bytes)));
}

MapStatus map_fixed(uintptr_t address, size_t bytes, int flags) {
  const long result = map(address, bytes, MAP_FIXED_NOREPLACE | flags);
  if (failed(result)) return result == -EEXIST ? MapStatus::kTaken : MapStatus::kNoMemory;
  if (static_cast<uintptr_t>(result) == address) return MapStatus::kMapped;
  // Kernels before 4.17 take the flag for a hint.
  kernel_unmap(static_cast<uintptr_t>(result), bytes);
  return MapStatus::kTaken;
}

MapStatus kernel_map_at(uintptr_t address, size_t bytes) { return map_fixed(address, bytes, 0); }

void* kernel_map_anywhere(size_t bytes) {
  const long result = map(0, bytes, 0);
  return failed(result) ? nullptr : reinterpret_cast<void*>(result);
}

bool kernel_decommit(uintptr_t address, size_t bytes) {
  // Fresh pages over the old ones, not madvise: a sandbox may kill whoever calls that, and one that
  // allows malloc at all allows mmap. The kernel merges the mapping with its neighbours again,
  // where those have no policy of their own (NUMA) and share no pages with a parent.
  if (!failed(map(address, bytes, MAP_FIXED))) return true;
  // Kernels before 6.12 unmap first and may fail after that; what is still there is kTaken.
  return kernel_map_at(address, bytes) == MapStatus::kMapped;
}

MapStatus kernel_remap(uintptr_t from, size_t from_bytes, uintptr_t to, size_t to_bytes) {
  if (from == to) {
    const long in_place = system_call(SYS_mremap, static_cast<long>(from),
                                      static_cast<long>(from_bytes), static_cast<long>(to_bytes));
    if (!failed(in_place)) return MapStatus::kMapped;
    // ENOMEM means both "no room behind it" and "no memory"; a mapping tells them apart.
    return in_place == -EFAULT ? MapStatus::kTaken : MapStatus::kNoMemory;
  }
  // MREMAP_FIXED replaces what is there: claim the place first, so that nobody else has it.
  const MapStatus claimed = kernel_map_at(to, to_bytes);
  if (claimed != MapStatus::kMapped) return claimed;
  const long moved = system_call(SYS_mremap, static_cast<long>(from), static_cast<long>(from_bytes),
                                 static_cast<long>(to_bytes), MREMAP_MAYMOVE | MREMAP_FIXED,
                                 static_cast<long>(to));
  if (!failed(moved)) return MapStatus::kMapped;
  kernel_unmap(to, to_bytes);
  return MapStatus::kNoMemory;
}

// The kernel keeps the whole of a huge page of which parts went until it wants memory badly. To
// call a part of it cold makes it small pages at once. (Linux 5.4; before, nothing happens.)
void split_huge_pages(uintptr_t address, size_t bytes) {
  for (size_t done = 0; done < bytes; done += kFrameBytes) {
    system_call(SYS_madvise, static_cast<long>(address + done), static_cast<long>(page_bytes()),
                MADV_COLD);
  }
}

bool kernel_advise(uintptr_t address, size_t bytes, PageAdvice advice) {
  const long what = advice == PageAdvice::kHuge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE;
  if (advice == PageAdvice::kSplit) split_huge_pages(address, bytes);
  return !failed(
      system_call(SYS_madvise, static_cast<long>(address), static_cast<long>(bytes), what));
}

bool kernel_discard(uintptr_t address, size_t bytes) {
  return !failed(system_call(SYS_madvise, static_cast<long>(address), static_cast<long>(bytes),
                             MADV_DONTNEED));
}

MapStatus kernel_map_hugetlb_at(uintptr_t address, size_t bytes, PageSize pages) {
  // The size stands in the flags as its logarithm. Without MAP_NORESERVE: who is told "mapped" has
  // the pages, whoever else takes some of the pool.
  const int size_log2 = pages == PageSize::k1GiB ? 30 : 21;
  return map_fixed(address, bytes, MAP_HUGETLB | size_log2 << MAP_HUGE_SHIFT);
}

bool kernel_populate(uintptr_t address, size_t bytes) {
  const long result = system_call(SYS_madvise, static_cast<long>(address), static_cast<long>(bytes),
                                  MADV_POPULATE_WRITE);
  // EFAULT: a touch would have raised SIGBUS. ENOMEM, EHWPOISON: no better. Kernels before 5.14 say
  // EINVAL, a sandbox EPERM or ENOSYS.
  return result != -EFAULT && result != -ENOMEM && result != -EHWPOISON;
}

constexpr Vm kKernelVm = {kernel_map_at,   kernel_map_anywhere,   kernel_unmap,
                          kernel_decommit, kernel_remap,          kernel_advise,
                          kernel_discard,  kernel_map_hugetlb_at, kernel_populate};

constinit Vm g_vm = kKernelVm;

}  // namespace

const Vm& kernel_vm() { return kKernelVm; }

const Vm& vm() { return g_vm; }

void set_vm(const Vm& replacement) { g_vm = replacement; }

size_t page_bytes() {
  const unsigned long from_kernel = getauxval(AT_PAGESZ);
  return is_power_of_two(from_kernel) ? from_kernel : 4096;
}

}  // namespace elasticpool
