// glibc's inner names are the same allocator: a block from either side may be freed and resized by
// the other.
#include "extensions.h"

static void* by_posix_memalign(size_t size) {
  void* block = NULL;
  CHECK(__posix_memalign(&block, 128, size) == 0);
  CHECK(is_aligned(block, 128));
  return block;
}
static void* by_calloc(size_t size) {
  void* block = __libc_calloc(1, size);
  CHECK(block && is_zero(block, size));
  return block;
}
static void* by_realloc(size_t size) { return __libc_realloc(NULL, size); }
static void* by_reallocarray(size_t size) { return __libc_reallocarray(NULL, size, 1); }
static void* by_memalign(size_t size) { return __libc_memalign(64, size); }

static void* (*const kMakers[])(size_t) = {malloc,        __libc_malloc,  by_calloc,
                                           by_realloc,    by_memalign,    by_reallocarray,
                                           __libc_valloc, __libc_pvalloc, by_posix_memalign};
static void (*const kFreers[])(void*) = {free, __libc_free, __libc_cfree, cfree};
static void* (*const kResizers[])(void*, size_t) = {realloc, __libc_realloc};

int main(void) {
  // Named here in code, too: of a weak name that only a table holds, the linker keeps no trace.
  CHECK(__libc_malloc && __libc_calloc && __libc_realloc && __libc_reallocarray);
  CHECK(__libc_memalign && __libc_valloc && __libc_pvalloc && __posix_memalign);
  CHECK(__libc_free && __libc_cfree && cfree);

  for (size_t i = 0; i < kTierSizeCount - 2; ++i) {  // the two of 40 MiB take too long
    const size_t size = kTierSizes[i];
    for (size_t m = 0; m < COUNT_OF(kMakers); ++m) {
      for (size_t f = 0; f < COUNT_OF(kFreers); ++f) {
        void* block = kMakers[m](size);
        CHECK_WITH(block && is_aligned(block, 16), "maker %zu size %zu", m, size);
        CHECK_WITH(malloc_usable_size(block) >= size, "maker %zu size %zu", m, size);
        fill(block, size, m);
        block = kResizers[(m + f) % 2](block, size + 100);
        CHECK_WITH(block && is_filled(block, size, m), "maker %zu size %zu", m, size);
        kFreers[f](block);
      }
    }
  }
  void* untouched = &untouched;
  CHECK(__posix_memalign(&untouched, opaque(24), 8) == EINVAL && untouched == &untouched);
  return 0;
}
