// malloc and calloc at their edges: too large, empty, aligned, zeroed, not overlapping.
#include "check.h"

static void refuses_what_cannot_be(void) {
  for (size_t i = 0; i < kTooLargeCount; ++i) {
    const size_t size = opaque(kTooLarge[i]);
    errno = 0;
    CHECK_WITH(malloc(size) == NULL && errno == ENOMEM, "size %#zx errno %d", size, errno);
    errno = 0;
    CHECK_WITH(calloc(1, size) == NULL && errno == ENOMEM, "size %#zx errno %d", size, errno);
    errno = 0;
    CHECK_WITH(calloc(size, 1) == NULL && errno == ENOMEM, "size %#zx errno %d", size, errno);
  }
}

static void calloc_refuses_overflow(void) {
  static const size_t kFactors[][2] = {
      {SIZE_MAX / 2 + 1, 2},   {2, SIZE_MAX / 2 + 1},
      {SIZE_MAX, SIZE_MAX},    {SIZE_MAX, 2},
      {SIZE_MAX / 16 + 1, 16}, {(size_t)1 << 32, (size_t)1 << 32},
      {(size_t)1 << 62, 4},    {((size_t)1 << 32) + 1, (size_t)1 << 32},
  };
  for (size_t i = 0; i < COUNT_OF(kFactors); ++i) {
    const size_t count = opaque(kFactors[i][0]), size = opaque(kFactors[i][1]);
    errno = 0;
    CHECK_WITH(calloc(count, size) == NULL && errno == ENOMEM, "%#zx x %#zx errno %d", count, size,
               errno);
  }
}

static int compare_pointers(const void* left, const void* right) {
  const uintptr_t a = *(const uintptr_t*)left, b = *(const uintptr_t*)right;
  return (a > b) - (a < b);
}

static void empty_blocks_are_unique(void) {
  static void* blocks[4000];
  for (size_t i = 0; i < COUNT_OF(blocks); i += 4) {
    blocks[i] = malloc(opaque(0));
    blocks[i + 1] = calloc(opaque(0), 8);
    blocks[i + 2] = calloc(8, opaque(0));
    blocks[i + 3] = realloc(NULL, opaque(0));
  }
  qsort(blocks, COUNT_OF(blocks), sizeof(blocks[0]), compare_pointers);
  CHECK(blocks[0] != NULL);
  for (size_t i = 1; i < COUNT_OF(blocks); ++i) CHECK_WITH(blocks[i] != blocks[i - 1], "at %zu", i);
  for (size_t i = 0; i < COUNT_OF(blocks); ++i) free(blocks[i]);
}

// Two blocks of each size at once, all live together: the second of a size is where a stride that
// is no multiple of 16 would show.
static void blocks_are_aligned_and_apart(void) {
  enum { kLargest = 4096 };
  static void* blocks[kLargest + 1][2];
  for (size_t size = 1; size <= kLargest; ++size) {
    for (size_t twin = 0; twin < 2; ++twin) {
      void* block = malloc(size);
      CHECK_WITH(block != NULL && is_aligned(block, 16), "size %zu at %p", size, block);
      fill(block, size, 2 * size + twin);
      blocks[size][twin] = block;
    }
  }
  for (size_t size = 1; size <= kLargest; ++size) {
    for (size_t twin = 0; twin < 2; ++twin) {
      CHECK_WITH(is_filled(blocks[size][twin], size, 2 * size + twin), "size %zu", size);
      free(blocks[size][twin]);
    }
  }
  for (size_t i = 0; i < kTierSizeCount; ++i) {
    void* one = malloc(kTierSizes[i]);
    void* two = calloc(1, kTierSizes[i]);
    CHECK_WITH(one && is_aligned(one, 16), "size %zu at %p", kTierSizes[i], one);
    CHECK_WITH(two && is_aligned(two, 16), "size %zu at %p", kTierSizes[i], two);
    free(one);
    free(two);
  }
}

static void calloc_after_dirty_reuse(bool trim_between) {
  void* blocks[8];
  for (size_t i = 0; i < kTierSizeCount; ++i) {
    const size_t size = kTierSizes[i];
    const int count = size <= 5 * MIB ? COUNT_OF(blocks) : 2;
    for (int k = 0; k < count; ++k) {
      CHECK((blocks[k] = malloc(size)) != NULL);
      memset(blocks[k], 0xa5, malloc_usable_size(blocks[k]));
    }
    for (int k = 0; k < count; ++k) free(blocks[k]);
    if (trim_between) malloc_trim(0);
    for (int k = 0; k < count; ++k) {
      const size_t parts = k % 2 == 0 ? 1 : (size % 4 == 0 ? 4 : size);
      CHECK((blocks[k] = calloc(parts, size / parts)) != NULL);
      CHECK_WITH(is_zero(blocks[k], size), "size %zu block %d", size, k);
      memset(blocks[k], 0x5a, size);
    }
    for (int k = 0; k < count; ++k) free(blocks[k]);
  }
}

int main(void) {
  refuses_what_cannot_be();
  calloc_refuses_overflow();
  empty_blocks_are_unique();
  blocks_are_aligned_and_apart();
  calloc_after_dirty_reuse(false);
  calloc_after_dirty_reuse(true);
  free(NULL);
  return 0;
}
