// What threads of the other node free comes home: it is on its own node's slabs and frames again,
// and is not handed out over there as near.
//
//   come_home local-magazine-bytes
//
// Not so what is still in the magazine of who freed it: he gets that again first, wherever it lies.
// That is bounded by MEMPOOL_MAGAZINE_BYTES, which is the argument.
#include "nodes.h"

enum { kAllBytes = 24 * kMiB, kFrame = 2 * kMiB };

static uintptr_t frame_of(const void* block) { return (uintptr_t)block / kFrame; }

static int compare_frames(const void* a, const void* b) {
  const uintptr_t left = frame_of(*(void* const*)a);
  const uintptr_t right = frame_of(*(void* const*)b);
  return (left > right) - (left < right);
}

// How many of the blocks lie in a frame where old ones lay: not where exactly, the last frame was
// perhaps hardly used.
static double share_of_old_frames(const Blocks* blocks, const Blocks* old) {
  size_t found = 0;
  for (size_t i = 0; i < blocks->count; ++i) {
    found +=
        bsearch(&blocks->blocks[i], old->blocks, old->count, sizeof(void*), compare_frames) != NULL;
  }
  printf("%zu of %zu blocks of %zu bytes in frames of old ones\n", found, blocks->count,
         blocks->size);
  fflush(stdout);
  return (double)found / (double)blocks->count;
}

static void check(size_t size, size_t magazine_bytes) {
  Blocks mine = make_blocks(size, kAllBytes);
  Blocks theirs = make_blocks(size, kAllBytes);
  Blocks again = make_blocks(size, kAllBytes);
  run_on_node(0, allocate_and_touch, &mine);
  EXPECT(mostly_on("asked for on node 0", &mine, 0, 0.99));
  // In one thread, so that what is in its magazines is not flushed by its end.
  Blocks both[2] = {mine, theirs};
  OnNode jobs[2] = {{1, free_blocks, &both[0]}, {1, allocate_and_touch, &both[1]}};
  stay_on_node(1);
  jobs[0].body(jobs[0].context);
  jobs[1].body(jobs[1].context);
  const double near = 1 - (double)magazine_bytes / kAllBytes - 0.01;
  EXPECT(mostly_on("then on node 1", &theirs, 1, near));
  run_on_node(0, allocate_and_touch, &again);
  EXPECT(mostly_on("and on node 0 again", &again, 0, 0.99));
  // An extent's pages went back when node 1 was given the extent.
  if (size <= kMiB) {
    qsort(mine.blocks, mine.count, sizeof(void*), compare_frames);
    EXPECT(share_of_old_frames(&again, &mine) >= near);
  }
  free_blocks(&theirs);
  run_on_node(0, free_blocks, &again);
}

int main(int argc, char** argv) {
  EXPECT(argc == 2);
  expect_preloaded();
  use_huge_pages(false);
  const size_t magazine_bytes = (size_t)strtol(argv[1], NULL, 10);
  check(64, magazine_bytes);
  check(1000, magazine_bytes);
  check(9000, magazine_bytes);
  check(200 * kKiB, 0);
  check(3 * kMiB, 0);
  return 0;
}
