// The C++ interface: all 20 forms of operator new and delete.
//
// While there is memory these are malloc and free. When there is none, the C++ library's own form
// takes over: it asks malloc again, calls the new_handler, throws bad_alloc or returns nullptr. It
// is looked up only then, and only where it is loaded already: a C program that preloads us loads
// no libstdc++, and no exception passes through code of ours that does not know of exceptions.
// A program that has us and its C++ library inside itself (libelasticpool.a, -static-libstdc++) has
// what weak references find, and the same is done by hand.
#include <dlfcn.h>

#include <cstddef>
#include <new>

#include "base/annotations.h"
#include "base/die.h"
#include "heap/fast_path.h"
#include "heap/heap.h"
#include "heap/relief.h"

// libstdc++'s std::__throw_bad_alloc() and std::get_new_handler().
extern "C" void ep_throw_bad_alloc() __asm__("_ZSt17__throw_bad_allocv")
    __attribute__((weak, noreturn));
extern "C" std::new_handler ep_get_new_handler() __asm__("_ZSt15get_new_handlerv")
    __attribute__((weak));

namespace {

using namespace elasticpool;

// The C++ library's function of that name, wherever it was loaded: by the program, or by a plugin
// for itself (RTLD_LOCAL). nullptr: none is loaded.
template <typename Function>
Function cxx_library(const char* name) {
  for (const char* library : {"libstdc++.so.6", "libc++.so.1", "libc++abi.so.1"}) {
    void* handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    if (handle == nullptr) continue;
    void* symbol = dlsym(handle, name);
    dlclose(handle);
    if (symbol != nullptr) return reinterpret_cast<Function>(symbol);
  }
  return nullptr;
}

// What the C++ library's operators do, with what the program has of it inside.
void* call_new_handlers(size_t bytes, size_t align_bytes) {
  for (;;) {
    const std::new_handler handler =
        &ep_get_new_handler == nullptr ? nullptr : ep_get_new_handler();
    if (handler == nullptr) return nullptr;
    handler();
    void* block = heap_allocate_aligned(bytes, align_bytes);
    if (block != nullptr) return block;
  }
}

void* call_new_handlers_or_throw(size_t bytes, size_t align_bytes) {
  void* block = call_new_handlers(bytes, align_bytes);
  if (block != nullptr) return block;
  if (&ep_throw_bad_alloc != nullptr) ep_throw_bad_alloc();
  die_no_bad_alloc();
}

EP_NOINLINE void* new_slow(size_t bytes, const char* name) {
  void* block = heap_allocate_slow(bytes);
  work_at_edge(__builtin_return_address(0));
  if (EP_LIKELY(block != nullptr)) return block;
  const auto form = cxx_library<void* (*)(size_t)>(name);
  return form != nullptr ? form(bytes) : call_new_handlers_or_throw(bytes, kMinAlignBytes);
}

EP_NOINLINE void* nothrow_slow(size_t bytes, const char* name) {
  using Function = void* (*)(size_t, const std::nothrow_t&);
  void* block = heap_allocate_slow(bytes);
  work_at_edge(__builtin_return_address(0));
  if (EP_LIKELY(block != nullptr)) return block;
  const auto form = cxx_library<Function>(name);
  return form != nullptr ? form(bytes, std::nothrow_t{}) : call_new_handlers(bytes, kMinAlignBytes);
}

// libstdc++ 12 rounds the size up to the alignment before it asks, and wraps around. A request that
// large fails in any form: it takes the plain one.
bool may_wrap(size_t bytes, std::align_val_t align) {
  return bytes > kRequestBytesMax - static_cast<size_t>(align);
}

EP_NOINLINE void* new_aligned(size_t bytes, std::align_val_t align, const char* name,
                              const char* plain_name) {
  using Function = void* (*)(size_t, std::align_val_t);
  void* block = heap_allocate_aligned(bytes, static_cast<size_t>(align));
  work_at_edge(__builtin_return_address(0));
  if (EP_LIKELY(block != nullptr)) return block;
  if (may_wrap(bytes, align)) return new_slow(bytes, plain_name);
  const auto form = cxx_library<Function>(name);
  return form != nullptr ? form(bytes, align)
                         : call_new_handlers_or_throw(bytes, static_cast<size_t>(align));
}

EP_NOINLINE void* nothrow_aligned(size_t bytes, std::align_val_t align, const char* name,
                                  const char* plain_name) {
  using Function = void* (*)(size_t, std::align_val_t, const std::nothrow_t&);
  void* block = heap_allocate_aligned(bytes, static_cast<size_t>(align));
  work_at_edge(__builtin_return_address(0));
  if (EP_LIKELY(block != nullptr)) return block;
  if (may_wrap(bytes, align)) return nothrow_slow(bytes, plain_name);
  const auto form = cxx_library<Function>(name);
  return form != nullptr ? form(bytes, align, std::nothrow_t{})
                         : call_new_handlers(bytes, static_cast<size_t>(align));
}

}  // namespace

// Visible although the library hides everything else; the export map names them once more.
#pragma GCC visibility push(default)

void* operator new(size_t bytes) {
  void* block = try_allocate(bytes);
  return EP_LIKELY(block != nullptr) ? block : new_slow(bytes, "_Znwm");
}

void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  void* block = try_allocate(bytes);
  return EP_LIKELY(block != nullptr) ? block : nothrow_slow(bytes, "_ZnwmRKSt9nothrow_t");
}

void* operator new(size_t bytes, std::align_val_t align) {
  return new_aligned(bytes, align, "_ZnwmSt11align_val_t", "_Znwm");
}

void* operator new(size_t bytes, std::align_val_t align, const std::nothrow_t&) noexcept {
  return nothrow_aligned(bytes, align, "_ZnwmSt11align_val_tRKSt9nothrow_t", "_ZnwmRKSt9nothrow_t");
}

void* operator new[](size_t bytes) {
  void* block = try_allocate(bytes);
  return EP_LIKELY(block != nullptr) ? block : new_slow(bytes, "_Znam");
}

void* operator new[](size_t bytes, const std::nothrow_t&) noexcept {
  void* block = try_allocate(bytes);
  return EP_LIKELY(block != nullptr) ? block : nothrow_slow(bytes, "_ZnamRKSt9nothrow_t");
}

void* operator new[](size_t bytes, std::align_val_t align) {
  return new_aligned(bytes, align, "_ZnamSt11align_val_t", "_Znam");
}

void* operator new[](size_t bytes, std::align_val_t align, const std::nothrow_t&) noexcept {
  return nothrow_aligned(bytes, align, "_ZnamSt11align_val_tRKSt9nothrow_t", "_ZnamRKSt9nothrow_t");
}

void operator delete(void* block) noexcept { free_block(block); }
void operator delete(void* block, size_t) noexcept { free_block(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { free_block(block); }
void operator delete(void* block, std::align_val_t) noexcept { free_block(block); }
void operator delete(void* block, std::align_val_t, const std::nothrow_t&) noexcept {
  free_block(block);
}
void operator delete(void* block, size_t, std::align_val_t) noexcept { free_block(block); }

void operator delete[](void* block) noexcept { free_block(block); }
void operator delete[](void* block, size_t) noexcept { free_block(block); }
void operator delete[](void* block, const std::nothrow_t&) noexcept { free_block(block); }
void operator delete[](void* block, std::align_val_t) noexcept { free_block(block); }
void operator delete[](void* block, std::align_val_t, const std::nothrow_t&) noexcept {
  free_block(block);
}
void operator delete[](void* block, size_t, std::align_val_t) noexcept { free_block(block); }

#pragma GCC visibility pop
