// Whether the kernel backs a frame by a huge page, and how pages of it go back.
//
// Who may call  buddy/, with the lock of the frame's heap where it says so.
// Policy        MEMPOOL_THP. auto: where the host asks for advice, frames of a heap that is large
//               and dense are huge pages as long as that pays (huge_payoff.h); where the host has
//               them always, it has its way. always: each frame is one. never: none is.
// Hugetlb       MEMPOOL_HUGETLB. A frame from the kernel's pool is what it is: nothing of the above
//               is said of it, and no part of it ever goes back.
// Torn          before pages of a frame go back that was asked to be a huge page, the kernel is
//               told to leave it small: else khugepaged fills the holes with zeroed memory again.
//               (It may do so on a host that has huge pages always: nobody asked for that.)
// Why madvise   the mapping must stay one: fresh pages over old ones (os/vm.h) would split it at
//               each hole. Whoever kills madvise in a sandbox has no such frames unless its heap is
//               large and its host set to madvise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace elasticpool {

enum class FramePages : uint8_t {
  kDefault,   // nothing was said
  kHuge,      // one huge page, if the kernel can
  kSmall,     // small ones
  kHugetlb,   // a 2 MiB page of the hugetlb pool
  kGigantic,  // a part of a 1 GiB page of it
};

constexpr bool is_hugetlb(FramePages pages) {
  return pages == FramePages::kHugetlb || pages == FramePages::kGigantic;
}

// What a frame that was just mapped should be, and the kernel is told so. `dense`: its heap is
// large, full, and thinks that huge pages pay.
FramePages advise_new_frame(uintptr_t start, bool dense);
// Whether it matters what first touches cost.
bool should_measure_pages();
// Before pages of the frame go back; what it is then. Under the lock.
FramePages advise_torn_frame(uintptr_t start, FramePages pages);
// Sends pages of it back; false: as Vm::decommit, and always so for a part of a hugetlb page.
bool return_pages(uintptr_t from, size_t bytes, FramePages pages);

}  // namespace elasticpool
