// Memory for the allocator's own records: threads, magazines' arrays, CPU caches, extents.
//
// Threads    any.
// Lock       one, kMeta, the last of all: may be asked while any other is held.
// Invariant  what was handed out once is never unmapped: a record may be looked at by a thread that
//            lags behind. give_back() keeps it for a later request of the same size.
// Cost       a bump of a pointer; a mapping of 64 KiB now and then.
#pragma once

#include <cstddef>

namespace elasticpool {

// Zeroed, aligned to a cache line; nullptr when the system refuses. At most 1 MiB.
void* meta_allocate(size_t bytes);
// `bytes` as asked. The record may be reused at once.
void meta_give_back(void* record, size_t bytes);
// A record of its own mapping, for good: zeroed, at the start of a page; nullptr when the system
// refuses. For what is large and mostly never touched.
void* meta_map(size_t bytes);
// Bytes taken from the system so far.
size_t meta_mapped_bytes();

// For fork: the lock of the arena.
void meta_lock_for_fork();
void meta_unlock_after_fork(bool in_child);

}  // namespace elasticpool
