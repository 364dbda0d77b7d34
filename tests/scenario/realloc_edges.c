// realloc at its edges: from and to nothing, too large, and through all the tiers up and down.
#include "check.h"

static void from_nothing_is_malloc(void) {
  for (size_t i = 0; i < kTierSizeCount; ++i) {
    void* block = realloc(NULL, kTierSizes[i]);
    CHECK_WITH(block && is_aligned(block, 16), "size %zu", kTierSizes[i]);
    fill(block, kTierSizes[i], i);
    free(block);
  }
  void* empty = realloc(NULL, opaque(0));
  CHECK(empty != NULL);
  free(empty);
}

static void to_nothing_frees(void) {
  for (size_t i = 0; i < kTierSizeCount; ++i) {
    void* block = malloc(kTierSizes[i]);
    errno = ERRNO_MARK;
    CHECK_WITH(realloc(block, opaque(0)) == NULL, "size %zu", kTierSizes[i]);
    CHECK_WITH(errno == ERRNO_MARK, "errno %d", errno);
  }
  // Were they not freed, each of these would leave 256 MiB behind.
  static const size_t kSizes[] = {1000, 64 * KIB, 4 * MIB};
  for (size_t i = 0; i < COUNT_OF(kSizes); ++i) {
    const size_t before = resident_bytes();
    for (size_t total = 0; total < 256 * MIB; total += kSizes[i]) {
      void* block = malloc(kSizes[i]);
      memset(block, 1, kSizes[i]);
      CHECK(realloc(block, opaque(0)) == NULL);
    }
    const size_t after = resident_bytes();
    CHECK_WITH(after < before + 64 * MIB, "size %zu: %zu -> %zu bytes", kSizes[i], before, after);
  }
}

static void too_large_keeps_the_block(void) {
  for (size_t i = 0; i < kTierSizeCount; ++i) {
    const size_t size = kTierSizes[i];
    void* block = malloc(size);
    fill(block, size, i);
    for (size_t k = 0; k < kTooLargeCount; ++k) {
      const size_t large = opaque(kTooLarge[k]);
      errno = 0;
      CHECK_WITH(realloc(opaque_pointer(block), large) == NULL, "%zu to %#zx", size, large);
      CHECK_WITH(errno == ENOMEM, "%zu to %#zx: errno %d", size, large, errno);
      CHECK_WITH(is_filled(block, size, i), "%zu to %#zx", size, large);
    }
    CHECK((block = realloc(block, size + 1)) != NULL);
    CHECK(is_filled(block, size, i));
    free(block);
  }
}

static void* resized(void* block, size_t from, size_t to) {
  const size_t kept = from < to ? from : to;
  block = realloc(block, to);
  CHECK_WITH(block && is_aligned(block, 16), "%zu to %zu", from, to);
  CHECK_WITH(malloc_usable_size(block) >= to, "%zu to %zu", from, to);
  CHECK_WITH(is_filled(block, kept, from), "%zu to %zu", from, to);
  fill(block, to, to);
  return block;
}

static void grows_and_shrinks_through_all_tiers(void) {
  const size_t most = 300 * MIB;
  size_t size = 1;
  char* block = (char*)malloc(size);
  fill(block, size, size);
  while (size < most) {
    const size_t larger = size + size / 2 + 1 < most ? size + size / 2 + 1 : most;
    block = (char*)resized(block, size, larger);
    size = larger;
  }
  while (size > 1) {
    const size_t smaller = size - size / 3 - 1;
    block = (char*)resized(block, size, smaller > 0 ? smaller : 1);
    size = smaller > 0 ? smaller : 1;
  }
  free(block);
}

// From every tier straight into every other, with a neighbour on each side that must not notice.
// (The largest sizes would take most of the time, and are grown through above.)
static void jumps_between_tiers(void) {
  const size_t count = kTierSizeCount - 3;
  for (size_t i = 0; i < count; ++i) {
    for (size_t k = 0; k < count; ++k) {
      const size_t from = kTierSizes[i], to = kTierSizes[k];
      void* left = malloc(from);
      void* block = malloc(from);
      void* right = malloc(from);
      fill(left, from, 1);
      fill(block, from, from);
      fill(right, from, 2);
      block = resized(block, from, to);
      CHECK_WITH(is_filled(left, from, 1) && is_filled(right, from, 2), "%zu to %zu", from, to);
      free(left);
      CHECK_WITH(is_filled(block, to, to), "%zu to %zu", from, to);
      free(block);
      free(right);
    }
  }
}

int main(void) {
  from_nothing_is_malloc();
  to_nothing_frees();
  too_large_keeps_the_block();
  grows_and_shrinks_through_all_tiers();
  jumps_between_tiers();
  return 0;
}
