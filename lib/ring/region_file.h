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
// A new file of `bytes`; of `flags` the wishes for huge pages count, where it has no name.
ep_ring_error make_region_file(const char* name, uint32_t mode, uint64_t bytes, uint32_t flags,
                               RegionFile* file);
// What mappings of the file are made of: a huge page where it lies on the kernel's pool of those.
uint64_t page_bytes_of(int fd);
ep_ring_error link_region_file(const char* name, const RegionFile& file);

// Who is attached holds a read lock on the file, which the kernel takes back with its last
// descriptor: so that a region nobody uses can be told from one whose handles are still to be
// opened. Advice only: where a file system knows no locks, nobody seems to be attached.
//
// Waits a moment while somebody removes the region. Errors  BUSY: he does not come to an end.
ep_ring_error mark_attached(int fd);
// Through another descriptor than this one and its duplicates.
bool is_attached_elsewhere(int fd);
// Nobody can attach from now on, until `fd` is closed. Errors  BUSY: somebody is attached.
ep_ring_error claim_alone(int fd);
// Whether `path` leads to the file of `fd`, and not to another or to none by now.
bool is_file_of(const char* path, int fd);

}  // namespace elasticpool
