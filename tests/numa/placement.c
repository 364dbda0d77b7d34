// Where blocks of every tier lie that threads of both nodes ask for, as the kernel says.
//
//   placement local|interleave|off small|huge       what MEMPOOL_NUMA is, and the size of pages
//
// local       on the node of the thread that asked. Slabs and buddy blocks do even where a thread
//             of the other node touches them first, which no default of the kernel brings about.
// interleave  half on each, extents that were emptied and grown included.
// off         nobody has set a policy.
#include <malloc.h>

#include "nodes.h"

enum { kAllBytes = 24 * kMiB, kLarge = 3 * kMiB };

// Interleaved by huge pages, extents of 3 MiB would all lie on one node: see numa_place().
static const size_t kSizes[] = {48, 700, 6000, 64 * kKiB, 200 * kKiB, 1024 * kKiB, 12 * kMiB};
enum { kSizesCount = sizeof kSizes / sizeof kSizes[0] };

static void expect_local(size_t size, int node) {
  const double least = 0.99;
  Blocks own = make_blocks(size, kAllBytes);
  run_on_node(node, allocate_and_touch, &own);
  EXPECT(mostly_on("asked for and touched", &own, node, least));
  Blocks touched_there = make_blocks(size, kAllBytes);
  run_on_node(node, allocate_blocks, &touched_there);
  run_on_node(1 - node, touch_blocks, &touched_there);
  const bool is_extent = size > kMiB;
  EXPECT(mostly_on("touched first by the other node", &touched_there, is_extent ? 1 - node : node,
                   least));
  char wanted[16];
  snprintf(wanted, sizeof wanted, "prefer:%d", node);
  EXPECT(has_policy(own.blocks[own.count - 1], is_extent ? "default" : wanted));
  run_on_node(node, free_blocks, &own);
  run_on_node(node, free_blocks, &touched_there);
}

// Of the pages, on each node. A dozen frames are a dozen huge pages, interleaved by their address,
// and which frames of those that are there serve a size does not go by that.
static double g_least_share = 0.38;

static void expect_half(const char* what, const Blocks* many) {
  const double least = g_least_share;
  EXPECT(mostly_on(what, many, 0, least));
  EXPECT(mostly_on(what, many, 1, least));
  EXPECT(has_policy(many->blocks[many->count - 1], "interleave:0-1"));
}

static void expect_interleaved(size_t size, int node) {
  Blocks blocks = make_blocks(size, kAllBytes);
  run_on_node(node, allocate_and_touch, &blocks);
  expect_half("asked for and touched", &blocks);
  run_on_node(node, free_blocks, &blocks);
}

static void grow(void* context) {
  Blocks* one = (Blocks*)context;
  for (; one->size < kAllBytes; one->size += kLarge) {
    one->blocks[0] = opaque(realloc(one->blocks[0], one->size + kLarge));
    EXPECT(one->blocks[0] != NULL);
  }
}

// Extents are mapped at other places too: anew after they were emptied, and longer.
static void expect_interleaved_again(int node) {
  Blocks blocks = make_blocks(kLarge, kAllBytes);
  run_on_node(node, allocate_and_touch, &blocks);
  run_on_node(node, free_blocks, &blocks);
  malloc_trim(0);
  run_on_node(node, allocate_and_touch, &blocks);
  expect_half("emptied and touched again", &blocks);
  run_on_node(node, free_blocks, &blocks);
  Blocks one = make_blocks(kLarge, kLarge);
  run_on_node(node, allocate_and_touch, &one);
  run_on_node(node, grow, &one);
  run_on_node(node, touch_blocks, &one);
  expect_half("grown", &one);
  run_on_node(node, free_blocks, &one);
}

static void expect_no_policy(size_t size, int node) {
  Blocks blocks = make_blocks(size, kAllBytes);
  run_on_node(node, allocate_and_touch, &blocks);
  for (size_t i = 0; i < blocks.count; i += blocks.count / 8 + 1) {
    EXPECT(has_policy(blocks.blocks[i], "default"));
  }
  run_on_node(node, free_blocks, &blocks);
}

int main(int argc, char** argv) {
  EXPECT(argc >= 3);
  expect_preloaded();
  const bool is_huge = strcmp(argv[2], "huge") == 0;
  use_huge_pages(is_huge);
  if (is_huge) g_least_share = 0.25;
  if (argc == 3) {
    // What is allocated before the library knows the nodes must not count as node 0's.
    stay_on_node(1);
    exec_self((const char* const[]){argv[1], argv[2], "inside", NULL});
  }
  for (int node = 0; node < kNodes; ++node) {
    for (int i = 0; i < kSizesCount; ++i) {
      if (strcmp(argv[1], "local") == 0) expect_local(kSizes[i], node);
      if (strcmp(argv[1], "interleave") == 0) expect_interleaved(kSizes[i], node);
      if (strcmp(argv[1], "off") == 0) expect_no_policy(kSizes[i], node);
    }
    if (strcmp(argv[1], "interleave") == 0 && strcmp(argv[2], "small") == 0) {
      expect_interleaved_again(node);
    }
  }
  return 0;
}
