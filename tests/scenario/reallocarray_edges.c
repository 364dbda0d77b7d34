// reallocarray: realloc of a product that is checked first.
#include "check.h"

static void refuses_overflow_and_keeps_the_block(void) {
  static const size_t kFactors[][2] = {
      {SIZE_MAX, 2},
      {2, SIZE_MAX},
      {SIZE_MAX / 2 + 1, 2},
      {SIZE_MAX, SIZE_MAX},
      {(size_t)1 << 32, (size_t)1 << 32},
      {SIZE_MAX / 24 + 1, 24},
      {PTRDIFF_MAX, 1},
      {1, SIZE_MAX},
      {(size_t)1 << 31, (size_t)1 << 31},
  };
  for (size_t i = 0; i < kTierSizeCount; ++i) {
    const size_t size = kTierSizes[i];
    void* block = malloc(size);
    fill(block, size, i);
    for (size_t k = 0; k < COUNT_OF(kFactors); ++k) {
      const size_t count = opaque(kFactors[k][0]), each = opaque(kFactors[k][1]);
      errno = 0;
      CHECK_WITH(reallocarray(opaque_pointer(block), count, each) == NULL, "%#zx x %#zx", count,
                 each);
      CHECK_WITH(errno == ENOMEM, "%#zx x %#zx: errno %d", count, each, errno);
      errno = 0;
      CHECK_WITH(reallocarray(NULL, count, each) == NULL, "%#zx x %#zx", count, each);
      CHECK_WITH(errno == ENOMEM, "%#zx x %#zx: errno %d", count, each, errno);
    }
    CHECK_WITH(is_filled(block, size, i), "size %zu", size);
    free(block);
  }
}

static void works_like_realloc(void) {
  for (size_t i = 0; i < kTierSizeCount; ++i) {
    const size_t size = kTierSizes[i];
    void* block = reallocarray(NULL, size, 1);
    CHECK_WITH(block && is_aligned(block, 16), "size %zu", size);
    fill(block, size, i);
    block = reallocarray(block, size, 3);
    CHECK_WITH(block && malloc_usable_size(block) >= 3 * size, "size %zu", size);
    CHECK_WITH(is_filled(block, size, i), "size %zu", size);
    fill(block, 3 * size, i);
    block = reallocarray(block, 1, size);
    CHECK_WITH(block && is_filled(block, size, i), "size %zu", size);
    CHECK_WITH(reallocarray(block, opaque(0), 8) == NULL, "size %zu", size);
  }
  void* empty = reallocarray(NULL, opaque(0), opaque(0));
  CHECK(empty != NULL);
  CHECK(reallocarray(empty, 8, opaque(0)) == NULL);
}

int main(void) {
  refuses_overflow_and_keeps_the_block();
  works_like_realloc();
  return 0;
}
