// Every message that ends the process: one fixed line on standard error, then abort().
//
// Who may call  any layer, any thread, any lock held: nothing is allocated, no lock is taken.
// Tests         match these lines word by word; a new misuse gets a new function here.
#pragma once

#include <cstddef>

namespace elasticpool {

// A block whose start this is was given back already.
[[noreturn]] void die_double_free(const void* block);
// Inside our memory, but no block starts here.
[[noreturn]] void die_interior_free(const void* address);
// realloc, or malloc_usable_size and its likes, of a block that is not live.
[[noreturn]] void die_dead_realloc(const void* address);
[[noreturn]] void die_dead_size(const void* address);
// In none of our memory, with MEMPOOL_FOREIGN=abort or where libc has no function of its own.
[[noreturn]] void die_foreign_free(const void* address);
[[noreturn]] void die_foreign_realloc(const void* address);
[[noreturn]] void die_foreign_size(const void* address);
// operator new has no memory, and the program no C++ library that could throw bad_alloc.
[[noreturn]] void die_no_bad_alloc();
// Ours, not the caller's: see check.h.
[[noreturn]] void die_broken_invariant(const char* what);

// Where the line goes; set once at boot by the composition root. Must not return to be useful, but
// may: abort() follows. Without one (unit tests of lower layers) only abort() happens.
using FatalSink = void (*)(const char* line, size_t line_bytes);
void set_fatal_sink(FatalSink sink);

}  // namespace elasticpool
