// What the host does about transparent huge pages.
//
// Threads    any.
// Errors     no /sys, or a kernel without them: kNever.
// Cost       the first call reads a file of /sys, the others a byte.
#pragma once

#include <cstdint>

namespace elasticpool {

enum class HostHugePages : uint8_t {
  kNever,
  kWhereAdvised,  // "madvise"
  kAlways,
};

HostHugePages host_huge_pages();

}  // namespace elasticpool
