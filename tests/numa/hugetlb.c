// Pages of the kernel's hugetlb pool lie on the node of the thread that asked for them, as others
// do, and go back. Run with MEMPOOL_HUGETLB=2M: the pool is filled here.
#include <malloc.h>

#include "../dropin/hugetlb_pages.h"
#include "nodes.h"

enum { kPoolPages = 96, kHeapMiB = 40, kBlockBytes = 400 };

int main(void) {
  expect_preloaded();
  use_huge_pages(false);
  if (pool_read(kKib2M, "nr_hugepages") == 0) {
    // The kernel spreads them over the nodes. Again from the start: what was refused before is
    // not tried with the next frames.
    EXPECT(pool_resize(kKib2M, kPoolPages));
    EXPECT(pool_read(kKib2M, "free_hugepages") == kPoolPages);
    execv("/proc/self/exe", (char* const[]){(char[]){"hugetlb"}, NULL});
    FAIL("execv");
  }
  for (int node = 0; node < kNodes; ++node) {
    Blocks many = make_blocks(kBlockBytes, (size_t)kHeapMiB * kMiB);
    run_on_node(node, allocate_and_touch, &many);
    fprintf(stderr, "node %d: %ld KiB of the pool\n", node, hugetlb_kib());
    EXPECT(hugetlb_kib() >= kHeapMiB * kKiB * 4 / 5);
    void* middle = many.blocks[many.count / 2];
    EXPECT(page_kib_at(middle) == kKib2M);
    EXPECT(has_policy(middle, node == 0 ? "prefer:0" : "prefer:1"));
    EXPECT(mostly_on("of the pool", &many, node, 0.9));
    free_blocks(&many);
    malloc_trim(0);
    fprintf(stderr, "node %d: %ld KiB when all is free\n", node, hugetlb_kib());
    EXPECT(hugetlb_kib() <= 4 * kKib2M);
  }
  EXPECT(pool_resize(kKib2M, 0));
  return 0;
}
