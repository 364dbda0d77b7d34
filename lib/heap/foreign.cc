// See foreign.h.
#include "heap/foreign.h"

#include <dlfcn.h>
#include <errno.h>

#include <atomic>
#include <cstring>

#include "base/die.h"
#include "heap/heap.h"
#include "tune/options.h"

namespace elasticpool {
namespace {

using FreeFunction = void (*)(void*);
using UsableSizeFunction = size_t (*)(void*);

constinit std::atomic<FreeFunction> g_libc_free{nullptr};
constinit std::atomic<UsableSizeFunction> g_libc_usable_size{nullptr};
constinit std::atomic<uint64_t> g_foreign_frees{0};

// Before our constructor has run it is somebody else's constructor that comes.
void find_libc_once() {
  if (g_libc_free.load(std::memory_order_relaxed) == nullptr) find_foreign_free();
}

// Where libc has no such function, or is not to be asked, a foreign block is misuse.
template <typename Function>
bool may_ask_libc(Function function) {
  return function != nullptr && options().foreign != ForeignPolicy::kAbort;
}

}  // namespace

void find_foreign_free() {
  const int saved_errno = errno;
  // The next library's: never our own, whatever order they were loaded in.
  g_libc_free.store(reinterpret_cast<FreeFunction>(dlsym(RTLD_NEXT, "free")),
                    std::memory_order_relaxed);
  g_libc_usable_size.store(
      reinterpret_cast<UsableSizeFunction>(dlsym(RTLD_NEXT, "malloc_usable_size")),
      std::memory_order_relaxed);
  errno = saved_errno;
}

void foreign_free(void* block) {
  find_libc_once();
  const FreeFunction libc_free = g_libc_free.load(std::memory_order_relaxed);
  if (!may_ask_libc(libc_free)) die_foreign_free(block);
  g_foreign_frees.fetch_add(1, std::memory_order_relaxed);
  libc_free(block);
}

size_t foreign_usable_bytes(const void* block) {
  find_libc_once();
  const UsableSizeFunction usable_size = g_libc_usable_size.load(std::memory_order_relaxed);
  if (!may_ask_libc(usable_size)) die_foreign_size(block);
  return usable_size(const_cast<void*>(block));
}

void* foreign_reallocate(void* block, size_t bytes) {
  find_libc_once();
  if (!may_ask_libc(g_libc_usable_size.load(std::memory_order_relaxed)) ||
      !may_ask_libc(g_libc_free.load(std::memory_order_relaxed))) {
    die_foreign_realloc(block);
  }
  const size_t old_bytes = foreign_usable_bytes(block);
  void* copy = heap_allocate(bytes);
  if (copy == nullptr) return nullptr;
  memcpy(copy, block, old_bytes < bytes ? old_bytes : bytes);
  foreign_free(block);
  return copy;
}

uint64_t foreign_frees() { return g_foreign_frees.load(std::memory_order_relaxed); }

}  // namespace elasticpool
