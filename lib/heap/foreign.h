// Blocks that are not ours: libc's own, from a library that binds to libc past us, or from before
// we were loaded.
//
// Threads   any.
// Policy    MEMPOOL_FOREIGN: libc (its free decides, and aborts what is nobody's), or abort (one
//           line of ours).
#pragma once

#include <cstddef>
#include <cstdint>

namespace elasticpool {

// Looks libc's functions up; before it, and where there are none, a foreign block is misuse.
void find_foreign_free();

void foreign_free(void* block);
// A block of ours with the contents of libc's, which is freed; nullptr when there is no memory.
void* foreign_reallocate(void* block, size_t bytes);
size_t foreign_usable_bytes(const void* block);

uint64_t foreign_frees();

}  // namespace elasticpool
