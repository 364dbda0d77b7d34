/* elasticpool: what the library offers beyond the C library's <stdlib.h> and <malloc.h>.
 *
 * For programs that link the library (cc app.c -lelasticpool). Programs that only preload it need
 * no header: malloc and its family, and C++'s new and delete, are taken over as they are.
 *
 * Threads  every function may be called from any thread at any time, also from a constructor, and
 *          between fork() and exec() in a process that has threads.
 * Sizes    in bytes. A block is at least as large as was asked for, its size is that of the
 *          smallest class that holds it, and its address is a multiple of 16 or more.
 * Misuse   a block that is freed twice, or an address inside a block, is one line on standard
 *          error and abort(); elasticpool(3) lists the lines.
 */
#ifndef EP_ELASTICPOOL_H
#define EP_ELASTICPOOL_H

#include <stddef.h>

/* Of this header; ep_version() tells that of the library that is loaded. */
#define EP_VERSION_MAJOR 0
#define EP_VERSION_MINOR 1
#define EP_VERSION_PATCH 0
/* As one number, to compare with: major * 1000000 + minor * 1000 + patch. */
#define EP_VERSION (EP_VERSION_MAJOR * 1000000 + EP_VERSION_MINOR * 1000 + EP_VERSION_PATCH)

#ifdef __cplusplus
#define EP_NOEXCEPT noexcept
extern "C" {
#else
#define EP_NOEXCEPT
#endif

/* The version of the loaded library, "major.minor.patch"; a constant that is never freed.
 * Errors  none. Cost: none. */
const char* ep_version(void) EP_NOEXCEPT;

/* The bytes that a block would have: what malloc_usable_size() would say of malloc(size), without
 * allocating anything.
 *
 * flags   the low six bits are the logarithm of the alignment, as in jemalloc's
 *         MALLOCX_LG_ALIGN(la); 0 is the alignment of malloc(). Other bits are ignored.
 * Returns 0 where malloc(size) is refused whatever memory there is: size is over PTRDIFF_MAX.
 * Errors  errno is left alone. Cost: a look into a table.
 * Origin  jemalloc, where size may not be 0; here nallocx(0, 0) is that of malloc(0). */
size_t nallocx(size_t size, int flags) EP_NOEXCEPT;

/* Frees a block whose size the caller knows: free(block), and no more. The size is a promise: what
 * was asked for, or anything up to nallocx() of that. It is not relied upon.
 *
 * block   of any function of the malloc family; also NULL, which does nothing.
 * flags   those that the block was allocated with; ignored.
 * Errors  errno is left alone. Cost: that of free().
 * Origin  jemalloc. */
void sdallocx(void* block, size_t size, int flags) EP_NOEXCEPT;

/* The bytes that may be used of a live block: malloc_usable_size(block). 0 for NULL.
 * A block that is not live is misuse.
 * Errors  errno is left alone. Cost: one look into the page map.
 * Origin  macOS. */
size_t malloc_size(const void* block) EP_NOEXCEPT;

/* The size to ask for in place of `size`, so that nothing of the block is wasted:
 * malloc_size(malloc(size)) without allocating. Buffers that grow should grow to such sizes.
 *
 * Returns size itself where no block of that size can be had.
 * Errors  errno is left alone. Cost: a look into a table.
 * Origin  macOS. */
size_t malloc_good_size(size_t size) EP_NOEXCEPT;

/* C23's, which C libraries have from glibc 2.43 on: free(block), with what the caller knows of it.
 * The size (and the alignment) are a promise: those that malloc, calloc, realloc (free_sized) or
 * aligned_alloc (free_aligned_sized) were asked for. They are not relied upon. NULL does nothing.
 *
 * Errors  errno is left alone. Cost: that of free(). */
void free_sized(void* block, size_t size) EP_NOEXCEPT;
void free_aligned_sized(void* block, size_t alignment, size_t size) EP_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#undef EP_NOEXCEPT
#endif
