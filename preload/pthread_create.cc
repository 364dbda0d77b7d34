// pthread_create and pthread_join: a process that has threads may have a helper thread, one that
// has none may not (heap/heap.h).
//
// Why here  the program has just done what a second thread is said to break, and it stands nowhere
//           in malloc: libc asks malloc for memory while it makes a thread.
// Only      in the shared library: a static one would meet libc's own definitions, and its process
//           has no helper.
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>

#include "base/check.h"
#include "heap/heap.h"

namespace {

// libc's function of that name, looked up once.
template <typename Function>
Function next_of(std::atomic<Function>& known, const char* name) {
  Function function = known.load(std::memory_order_relaxed);
  if (function == nullptr) {
    function = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
    EP_CHECK(function != nullptr && "a libc without threads");
    known.store(function, std::memory_order_relaxed);
  }
  return function;
}

using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
using Join = int (*)(pthread_t, void**);
std::atomic<Create> g_create{nullptr};
std::atomic<Join> g_join{nullptr};

}  // namespace

#define EP_EXPORT extern "C" __attribute__((visibility("default")))

EP_EXPORT int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                             void* (*routine)(void*), void* argument) noexcept {
  // Both now, while there is no other thread: dlsym() waits for whoever is in dlopen(), and that
  // may be waiting for the thread that joins.
  next_of(g_join, "pthread_join");
  const int result = next_of(g_create, "pthread_create")(thread, attributes, routine, argument);
  if (result == 0) elasticpool::heap_note_thread();
  return result;
}

// Not noexcept: a thread that is cancelled here unwinds.
EP_EXPORT int pthread_join(pthread_t thread, void** result_of_thread) {
  const int result = next_of(g_join, "pthread_join")(thread, result_of_thread);
  if (result == 0) elasticpool::heap_note_join();
  return result;
}
