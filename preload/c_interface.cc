// The C interface: malloc and its family, as glibc 2.43 has them.
//
// No logic beyond what each function's contract says of arguments and errno; all else is heap/.
// Edges: a size above PTRDIFF_MAX and a product that overflows are NULL and ENOMEM, the old block
// kept; free keeps errno.
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "base/annotations.h"
#include "base/bits.h"
#include "heap/fast_path.h"
#include "heap/heap.h"
#include "heap/relief.h"
#include "os/vm.h"

#define EP_EXPORT extern "C" __attribute__((visibility("default")))
#define EP_ALIAS(target) __attribute__((alias(#target), visibility("default")))

// See start.cc.
extern "C" __attribute__((visibility("hidden"))) const char ep_start_is_linked;

namespace {

using namespace elasticpool;

__attribute__((used)) const char* const kStart = &ep_start_is_linked;

void* or_enomem(void* block) {
  if (EP_UNLIKELY(block == nullptr)) errno = ENOMEM;
  return block;
}

EP_NOINLINE void* malloc_slow(size_t bytes) {
  void* block = or_enomem(heap_allocate_slow(bytes));
  work_at_edge(__builtin_return_address(0));
  return block;
}

// The smallest power of two that is not below `align`; 0 where there is none.
size_t power_of_two_above(size_t align) {
  if (align > size_t{1} << 63) return 0;
  return is_power_of_two(align) ? align : size_t{1} << ceil_log2(align == 0 ? 1 : align);
}

// Where it is asked from, in line.
EP_ALWAYS_INLINE void* allocate_aligned(size_t align, size_t bytes) {
  void* block = or_enomem(heap_allocate_aligned(bytes, align));
  work_at_edge(__builtin_return_address(0));
  return block;
}

EP_NOINLINE void* calloc_large(size_t bytes, const void* caller) {
  void* block = or_enomem(heap_allocate_zeroed(bytes));
  work_at_edge(caller);
  return block;
}

EP_NOINLINE void* realloc_large(void* block, size_t bytes, const void* caller) {
  void* moved = or_enomem(heap_reallocate(block, bytes));
  work_at_edge(caller);
  return moved;
}

}  // namespace

EP_EXPORT void* malloc(size_t bytes) noexcept {
  void* block = elasticpool::try_allocate(bytes);
  if (EP_LIKELY(block != nullptr)) return block;
  return malloc_slow(bytes);
}

EP_EXPORT void free(void* block) noexcept { elasticpool::free_block(block); }

EP_EXPORT void* calloc(size_t count, size_t bytes) noexcept {
  size_t total = 0;
  if (EP_UNLIKELY(__builtin_mul_overflow(count, bytes, &total))) return or_enomem(nullptr);
  if (EP_UNLIKELY(total > kSlabBytesMax)) return calloc_large(total, __builtin_return_address(0));
  return or_enomem(elasticpool::heap_allocate_zeroed(total));
}

EP_EXPORT void* realloc(void* block, size_t bytes) noexcept {
  if (EP_UNLIKELY(bytes == 0 && block != nullptr)) {
    free(block);
    return nullptr;
  }
  if (EP_UNLIKELY(bytes > kSlabBytesMax)) {
    return realloc_large(block, bytes, __builtin_return_address(0));
  }
  return or_enomem(elasticpool::heap_reallocate(block, bytes));
}

EP_EXPORT void* reallocarray(void* block, size_t count, size_t bytes) noexcept {
  size_t total = 0;
  if (EP_UNLIKELY(__builtin_mul_overflow(count, bytes, &total))) return or_enomem(nullptr);
  return realloc(block, total);
}

EP_EXPORT int posix_memalign(void** result, size_t align, size_t bytes) noexcept {
  if (align % sizeof(void*) != 0 || !elasticpool::is_power_of_two(align)) return EINVAL;
  void* block = elasticpool::heap_allocate_aligned(bytes, align);
  elasticpool::work_at_edge(__builtin_return_address(0));
  if (block == nullptr) return ENOMEM;
  *result = block;
  return 0;
}

EP_EXPORT void* aligned_alloc(size_t align, size_t bytes) noexcept {
  if (EP_UNLIKELY(!elasticpool::is_power_of_two(align))) {
    errno = EINVAL;
    return nullptr;
  }
  return allocate_aligned(align, bytes);
}

// glibc: an alignment that is no power of two is rounded up to one, one above half of the address
// space is EINVAL.
EP_EXPORT void* memalign(size_t align, size_t bytes) noexcept {
  if (EP_UNLIKELY(align > SIZE_MAX / 2 + 1)) {
    errno = EINVAL;
    return nullptr;
  }
  return allocate_aligned(power_of_two_above(align), bytes);
}

EP_EXPORT void* valloc(size_t bytes) noexcept {
  return allocate_aligned(elasticpool::page_bytes(), bytes);
}

EP_EXPORT void* pvalloc(size_t bytes) noexcept {
  const size_t page = elasticpool::page_bytes();
  size_t padded = 0;
  if (__builtin_add_overflow(bytes, page - 1, &padded)) return or_enomem(nullptr);
  return allocate_aligned(page, elasticpool::round_down(padded, page));
}

EP_EXPORT void free_sized(void* block, size_t) noexcept { free(block); }
EP_EXPORT void free_aligned_sized(void* block, size_t, size_t) noexcept { free(block); }
EP_EXPORT void cfree(void* block) noexcept { free(block); }

EP_EXPORT size_t malloc_usable_size(void* block) noexcept {
  return elasticpool::heap_usable_bytes(block);
}

// jemalloc's: the low six bits of the flags are the logarithm of the alignment.
EP_EXPORT size_t nallocx(size_t bytes, int flags) noexcept {
  return elasticpool::heap_good_bytes(bytes, size_t{1} << (flags & 63));
}

EP_EXPORT void sdallocx(void* block, size_t, int) noexcept { free(block); }

// macOS's.
EP_EXPORT size_t malloc_size(const void* block) noexcept {
  return elasticpool::heap_usable_bytes(block);
}

EP_EXPORT size_t malloc_good_size(size_t bytes) noexcept {
  const size_t good = elasticpool::heap_good_bytes(bytes, elasticpool::kMinAlignBytes);
  return good == 0 ? bytes : good;
}

EP_EXPORT const char* ep_version() noexcept { return EP_VERSION_STRING; }

// The names by which parts of glibc, and programs that know it, call the same. What the headers say
// of malloc for the optimiser need not be said of these.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmissing-attributes"
#endif
EP_EXPORT void* __libc_malloc(size_t) noexcept EP_ALIAS(malloc);
EP_EXPORT void* __libc_calloc(size_t, size_t) noexcept EP_ALIAS(calloc);
EP_EXPORT void* __libc_realloc(void*, size_t) noexcept EP_ALIAS(realloc);
EP_EXPORT void __libc_free(void*) noexcept EP_ALIAS(free);
EP_EXPORT void __libc_cfree(void*) noexcept EP_ALIAS(cfree);
EP_EXPORT void* __libc_memalign(size_t, size_t) noexcept EP_ALIAS(memalign);
EP_EXPORT void* __libc_valloc(size_t) noexcept EP_ALIAS(valloc);
EP_EXPORT void* __libc_pvalloc(size_t) noexcept EP_ALIAS(pvalloc);
EP_EXPORT void* __libc_reallocarray(void*, size_t, size_t) noexcept EP_ALIAS(reallocarray);
EP_EXPORT int __posix_memalign(void**, size_t, size_t) noexcept EP_ALIAS(posix_memalign);
