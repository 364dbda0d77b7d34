// What has to wait until a request of the program's own is served: work at the edge of malloc.
//
// Why       a request may be libc's (setenv, localtime, getline), which holds a lock of its own
//           meanwhile and is in the middle of something. There no thread can be made, and no
//           function of the program's can be called that might use libc.
// Who       whoever finds such work asks for it here; preload/ looks once a malloc or new that
//           found its magazine empty is served, any request above 32 KiB, any aligned one; and does
//           it where the caller is no part of libc (heap_work_at_edge()). Not a smaller calloc or
//           realloc: their warm calls would pay for it.
// Threads   any; a bit says that something is to be done, by whoever comes first.
// Cost      a load and a branch, on ways that are slow anyway.
#pragma once

#include <atomic>
#include <cstdint>

namespace elasticpool {

enum EdgeWork : uint32_t {
  kStartHelper = 1,   // caretaker_start_wanted()
  kAskListeners = 2,  // governor_ask_listeners()
};

inline constinit std::atomic<uint32_t> g_edge_work{0};

inline bool is_edge_work(EdgeWork work) {
  return (g_edge_work.load(std::memory_order_relaxed) & work) != 0;
}
inline void want_edge_work(EdgeWork work) {
  if (!is_edge_work(work)) g_edge_work.fetch_or(work, std::memory_order_relaxed);
}
inline void forget_edge_work(EdgeWork work) {
  if (is_edge_work(work)) g_edge_work.fetch_and(~uint32_t{work}, std::memory_order_relaxed);
}

}  // namespace elasticpool
