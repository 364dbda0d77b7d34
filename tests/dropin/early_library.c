// Loaded after the preloaded allocator, hence constructed before it and destroyed after it.
#include "early_library.h"

#include "dropin.h"

static void* small_block;
static void* large_block;

__attribute__((constructor)) static void construct(void) {
  small_block = filled(100, 1);
  large_block = filled(3 * kMiB, 2);
}

bool early_library_is_whole(void) {
  return holds(small_block, 100, 1) && holds(large_block, 3 * kMiB, 2);
}

__attribute__((destructor)) static void destroy(void) {
  use_heap(3, 1000);
  check_and_free(small_block, 100, 1);
  check_and_free(large_block, 3 * kMiB, 2);
}
