// Cache lines asked for before they are needed, from the processor that wrote them last.
//
// Threads  any; hints: nothing is read or written.
// Why      a locked instruction waits until all stores before it are seen by all: so a message
//          that is written into a line which another processor has costs the way there and back,
//          each, unless the line was asked for some messages earlier.
// Cost     an instruction.
#pragma once

namespace elasticpool {

inline void prefetch_to_write(const void* p) {
#if defined(__x86_64__)
  // Not the builtin: without -mprfchw that asks for a copy to read only.
  __asm__ volatile("prefetchw %0" : : "m"(*static_cast<const char*>(p)));
#else
  __builtin_prefetch(p, 1);
#endif
}

inline void prefetch_to_read(const void* p) { __builtin_prefetch(p, 0); }

}  // namespace elasticpool
