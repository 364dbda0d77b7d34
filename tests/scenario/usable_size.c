// The size that a block really has: told after the fact, and beforehand, and always the same.
#include "extensions.h"

static void block_of(size_t size) {
  void* left = malloc(size);
  void* block = malloc(size);
  void* right = malloc(size);
  const size_t usable = malloc_usable_size(block);
  CHECK_WITH(usable >= size, "%zu usable of %zu", usable, size);
  CHECK_WITH(malloc_size(block) == usable, "%zu: %zu, not %zu", size, malloc_size(block), usable);
  CHECK_WITH(malloc_good_size(size) >= size, "%zu: %zu", size, malloc_good_size(size));
  CHECK_WITH(usable >= malloc_good_size(size), "%zu: %zu", size, malloc_good_size(size));
  if (size > 0)
    CHECK_WITH(nallocx(size, 0) == usable, "%zu: %zu, not %zu", size, nallocx(size, 0), usable);

  // Usable to the last byte, and the neighbours' bytes are not among them.
  fill(left, malloc_usable_size(left), 1);
  fill(right, malloc_usable_size(right), 2);
  fill(block, usable, 3);
  CHECK_WITH(is_filled(left, malloc_usable_size(left), 1), "size %zu", size);
  CHECK_WITH(is_filled(right, malloc_usable_size(right), 2), "size %zu", size);
  free(left);
  free(right);
  CHECK_WITH(is_filled(block, usable, 3), "size %zu", size);
  free(block);
}

static void aligned_block_of(size_t size, int lg_alignment) {
  const size_t alignment = (size_t)1 << lg_alignment;
  const size_t told = nallocx(size, MALLOCX_LG_ALIGN(lg_alignment));
  void* block = aligned_alloc(alignment, size);
  CHECK_WITH(told >= size, "%zu to %zu: %zu", size, alignment, told);
  CHECK_WITH(told == malloc_usable_size(block), "%zu to %zu: %zu, not %zu", size, alignment, told,
             malloc_usable_size(block));
  CHECK_WITH(nallocx(size, MALLOCX_LG_ALIGN(lg_alignment) | MALLOCX_ZERO) == told, "%zu to %zu",
             size, alignment);
  memset((char*)block + told - 1, 4, 1);
  free(block);
}

int main(void) {
  CHECK(malloc_usable_size(NULL) == 0);
  CHECK(malloc_size && malloc_good_size && nallocx);
  CHECK(malloc_size(NULL) == 0);
  for (size_t size = 0; size <= 5000; ++size) block_of(size);
  for (size_t i = 0; i < kTierSizeCount; ++i) block_of(kTierSizes[i]);
  for (int lg_alignment = 4; lg_alignment <= 24; ++lg_alignment) {
    for (size_t i = 0; i < kTierSizeCount; ++i) aligned_block_of(kTierSizes[i], lg_alignment);
  }
  // 0 says that there can be no such block.
  CHECK(nallocx(opaque(SIZE_MAX), 0) == 0);
  CHECK(nallocx(opaque((size_t)PTRDIFF_MAX + 1), 0) == 0);
  return 0;
}
