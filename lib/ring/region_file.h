// The file behind a region: found by name, made, linked.
//
// Threads  any.
// Names    none: a memfd. Without a slash: /dev/shm/NAME.ring. With one: a path.
// Errors   as ep_ring_error; errno says more.
#pragma once

#include <cstddef>
#include <cstdint>

#include "include/elasticpool/ring.h"

namespace elasticpool {

inline constexpr size_t kPathBytes = 4096;

// INVALID for a name that is empty, too long or "..".
ep_ring_error region_path(const char* name, char (&path)[kPathBytes]);

// What errno means for the caller of a function that opens or makes a region.
ep_ring_error error_of_errno();

struct RegionFile {
  int fd = -1;
  bool has_name = false;  // false: link_region_file() gives it its name when it is finished
  bool is_huge = false;
};
// A new file of `bytes`; huge_bytes: of a page, or 0.
ep_ring_error make_region_file(const char* name, uint32_t mode, uint64_t bytes, uint64_t huge_bytes,
                               RegionFile* file);
ep_ring_error link_region_file(const char* name, const RegionFile& file);

}  // namespace elasticpool
