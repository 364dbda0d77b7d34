// See frame_pages.h.
#include "buddy/frame_pages.h"

#include "base/units.h"
#include "os/huge_pages.h"
#include "os/vm.h"
#include "tune/options.h"

namespace elasticpool {
namespace {

FramePages advise(uintptr_t start, PageAdvice advice, FramePages pages) {
  return vm().advise(start, kFrameBytes, advice) ? pages : FramePages::kDefault;
}

}  // namespace

FramePages advise_new_frame(uintptr_t start, bool dense) {
  const ThpPolicy policy = options().thp;
  if (policy == ThpPolicy::kAuto && !dense) return FramePages::kDefault;
  const HostHugePages host = host_huge_pages();
  if (policy == ThpPolicy::kNever) {
    if (host != HostHugePages::kAlways) return FramePages::kDefault;
    return advise(start, PageAdvice::kSmall, FramePages::kSmall);
  }
  if (host != HostHugePages::kWhereAdvised) return FramePages::kDefault;
  return advise(start, PageAdvice::kHuge, FramePages::kHuge);
}

bool should_measure_pages() {
  return options().thp == ThpPolicy::kAuto && host_huge_pages() == HostHugePages::kWhereAdvised &&
         page_bytes() < kGranuleBytes;
}

FramePages advise_torn_frame(uintptr_t start, FramePages pages) {
  return pages == FramePages::kHuge ? advise(start, PageAdvice::kSplit, FramePages::kSmall) : pages;
}

bool return_pages(uintptr_t from, size_t bytes, FramePages pages) {
  if (is_hugetlb(pages)) return false;
  // What is locked in memory (mlockall) cannot be discarded.
  if (pages != FramePages::kDefault && vm().discard(from, bytes)) return true;
  return vm().decommit(from, bytes);
}

}  // namespace elasticpool
