// Freeing with the size told: the block is freed whatever made it, and NULL is nothing.
#include "extensions.h"

static void free_with_size(void* block, size_t size) { free_sized(block, size); }
static void free_with_both(void* block, size_t size) { free_aligned_sized(block, 64, size); }
static void free_as_jemalloc(void* block, size_t size) { sdallocx(block, size, 0); }
static void free_aligned_as_jemalloc(void* block, size_t size) {
  sdallocx(block, size, MALLOCX_LG_ALIGN(6));
}

static void* make_plain(size_t size) { return malloc(size); }
static void* make_zeroed(size_t size) { return calloc(1, size); }
static void* make_resized(size_t size) { return realloc(malloc(size / 2 + 1), size); }
static void* make_aligned(size_t size) { return aligned_alloc(64, size); }

// As C23 has them, free_sized goes with malloc, calloc and realloc, and free_aligned_sized with
// aligned_alloc.
static const struct {
  const char* name;
  void* (*make)(size_t size);
  void (*destroy)(void* block, size_t size);
} kPairs[] = {
    {"malloc, free_sized", make_plain, free_with_size},
    {"calloc, free_sized", make_zeroed, free_with_size},
    {"realloc, free_sized", make_resized, free_with_size},
    {"aligned_alloc, free_aligned_sized", make_aligned, free_with_both},
    {"malloc, sdallocx", make_plain, free_as_jemalloc},
    {"aligned_alloc, sdallocx", make_aligned, free_aligned_as_jemalloc},
};

int main(void) {
  CHECK(free_sized && free_aligned_sized && sdallocx);
  free_sized(NULL, 0);
  free_sized(NULL, 100);
  free_aligned_sized(NULL, 64, 100);
  sdallocx(NULL, 100, 0);

  for (size_t pair = 0; pair < COUNT_OF(kPairs); ++pair) {
    for (size_t i = 0; i < kTierSizeCount; ++i) {
      const size_t size = kTierSizes[i];
      const size_t before = resident_bytes();
      // Were they not freed, 80 MiB more than one block would stay. One may: it was wanted again.
      for (size_t total = 0; total < 128 * MIB; total += size < 64 ? 64 : size) {
        void* block = kPairs[pair].make(size);
        CHECK_WITH(block != NULL, "%s: size %zu", kPairs[pair].name, size);
        memset(block, 1, size < 4096 ? size : 4096);
        errno = ERRNO_MARK;
        kPairs[pair].destroy(block, size);
        CHECK_WITH(errno == ERRNO_MARK, "%s: size %zu", kPairs[pair].name, size);
      }
      const size_t after = resident_bytes();
      CHECK_WITH(after < before + 16 * MIB + size, "%s: size %zu", kPairs[pair].name, size);
    }
  }
  // sdallocx may be told any size from the request to what nallocx says.
  for (size_t i = 0; i < kTierSizeCount; ++i) {
    void* block = malloc(kTierSizes[i]);
    sdallocx(block, malloc_usable_size(block), 0);
  }
  return 0;
}
