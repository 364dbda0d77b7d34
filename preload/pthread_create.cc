// pthread_create: a process that makes threads may have a helper thread (heap/heap.h).
//
// Why here  the program has just done what a second thread is said to break, and it stands nowhere
//           in malloc: libc asks malloc for memory while it makes a thread.
// Only      in the shared library: a static one would meet libc's own definition, and its process
//           has no helper.
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>

#include "base/check.h"
#include "heap/heap.h"

namespace {

using Function = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);

std::atomic<Function> g_libc_pthread_create{nullptr};

}  // namespace

extern "C" __attribute__((visibility("default"))) int pthread_create(
    pthread_t* thread, const pthread_attr_t* attributes, void* (*routine)(void*),
    void* argument) noexcept {
  Function next = g_libc_pthread_create.load(std::memory_order_relaxed);
  if (next == nullptr) {
    next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "pthread_create"));
    EP_CHECK(next != nullptr && "a libc without pthread_create");
    g_libc_pthread_create.store(next, std::memory_order_relaxed);
  }
  const int result = next(thread, attributes, routine, argument);
  if (result == 0) elasticpool::heap_note_thread();
  return result;
}
