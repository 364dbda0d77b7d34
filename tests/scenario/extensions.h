// What the library offers beyond the headers of this C library. Weak, so that every program also
// starts on an allocator that lacks some of them, and then says which.
#pragma once

#include "check.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EP_TEST_WEAK __attribute__((weak))

// C23
EP_TEST_WEAK void free_sized(void* block, size_t size);
EP_TEST_WEAK void free_aligned_sized(void* block, size_t alignment, size_t size);

// jemalloc's and macOS's names
EP_TEST_WEAK size_t nallocx(size_t size, int flags);
EP_TEST_WEAK void sdallocx(void* block, size_t size, int flags);
EP_TEST_WEAK size_t malloc_size(const void* block);
EP_TEST_WEAK size_t malloc_good_size(size_t size);

// jemalloc's flags: the low six bits are log2 of the alignment.
#define MALLOCX_LG_ALIGN(lg) ((int)(lg))
#define MALLOCX_ZERO 0x40

// glibc's own names of the same functions, which some programs call past the public ones
EP_TEST_WEAK void* __libc_malloc(size_t size);
EP_TEST_WEAK void* __libc_calloc(size_t count, size_t size);
EP_TEST_WEAK void* __libc_realloc(void* block, size_t size);
EP_TEST_WEAK void __libc_free(void* block);
EP_TEST_WEAK void __libc_cfree(void* block);
EP_TEST_WEAK void* __libc_memalign(size_t alignment, size_t size);
EP_TEST_WEAK void* __libc_valloc(size_t size);
EP_TEST_WEAK void* __libc_pvalloc(size_t size);
EP_TEST_WEAK void* __libc_reallocarray(void* block, size_t count, size_t size);
EP_TEST_WEAK int __posix_memalign(void** block, size_t alignment, size_t size);
EP_TEST_WEAK void cfree(void* block);

EP_TEST_WEAK const char* ep_version(void);

#ifdef __cplusplus
}
#endif
