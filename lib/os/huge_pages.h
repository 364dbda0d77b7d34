// What the host does about transparent huge pages.
//
// Who may call  huge_pages_boot(): boot, once, before the first memory is mapped; that is before
//               main, where nobody minds that a file is open for a moment. The rest: any thread.
// Errors        no /sys, a kernel without them, or not booted: kNever.
// Cost          huge_pages_boot() reads a file; host_huge_pages() a byte.
#pragma once

#include <cstdint>

namespace elasticpool {

enum class HostHugePages : uint8_t {
  kNever,
  kWhereAdvised,  // "madvise"
  kAlways,
};

void huge_pages_boot();
HostHugePages host_huge_pages();

}  // namespace elasticpool
