// The statistics per node say what the kernel says of the same blocks.
//
//   statistics local|interleave|off      what MEMPOOL_NUMA is set to
#include "nodes.h"

enum { kSmall = 500, kMedium = 200 * kKiB, kLarge = 3 * kMiB };
// Node 1 has three times as much as node 0.
static const size_t kBytesOf[kNodes] = {8 * kMiB, 24 * kMiB};

// The child: keeps blocks, and writes where their pages lie.
static int hold_blocks(void) {
  Tally frames = {{0, 0}, 0, 0};
  Tally extents = {{0, 0}, 0, 0};
  for (int node = 0; node < kNodes; ++node) {
    for (int i = 0; i < 3; ++i) {
      const size_t size = i == 0 ? kSmall : i == 1 ? kMedium : kLarge;
      Blocks blocks = make_blocks(size, kBytesOf[node]);
      run_on_node(node, allocate_and_touch, &blocks);
      const Tally tally = count_blocks(&blocks);
      for (int n = 0; n < kNodes; ++n) {
        (size == kLarge ? &extents : &frames)->pages[n] += tally.pages[n];
      }
    }
  }
  printf("frames %ld %ld extents %ld %ld\n", frames.pages[0], frames.pages[1], extents.pages[0],
         extents.pages[1]);
  return 0;
}

// The number behind the key in the row of the node, or in the whole report for -1; -1: none.
static long long number_of(const char* report, int node, const char* key) {
  char wanted[64];
  const char* row = report;
  const char* end = report + strlen(report);
  if (node >= 0) {
    snprintf(wanted, sizeof wanted, "{\"node\":%d,", node);
    row = strstr(report, wanted);
    if (row == NULL) return -1;
    end = strchr(row, '}');
  }
  snprintf(wanted, sizeof wanted, "\"%s\":", key);
  const char* found = strstr(row, wanted);
  return found == NULL || found > end ? -1 : strtoll(found + strlen(wanted), NULL, 10);
}

static bool is_near(long long counted, long long said) {
  // Records beside it, and the program's own few blocks.
  const long long slack = 3 * kMiB;
  const bool near = said >= counted - slack && said <= counted + slack;
  fprintf(stderr, "counted %lld, the report says %lld%s\n", counted, said, near ? "" : ": wrong");
  return near;
}

static void check_books(const char* report) {
  long long frames = 0;
  for (int node = 0; node < kNodes; ++node) {
    const long long bytes = (long long)kBytesOf[node];
    const long long blocks = bytes / kMedium;
    frames += number_of(report, node, "frames");
    EXPECT(is_near(bytes, number_of(report, node, "slab_bytes")));
    EXPECT(is_near(bytes, number_of(report, node, "slab_out_bytes")));
    // Those that a thread has at hand are on the books as well, 1 MiB at most.
    const long long over = number_of(report, node, "buddy_live_bytes") - blocks * 4 * 64 * kKiB;
    EXPECT(over >= 0 && over <= kMiB);
    EXPECT(number_of(report, node, "free_resident_bytes") < 16 * kMiB);
  }
  const char* tier = strstr(report, "\"buddy\":{");
  EXPECT(tier != NULL && frames > 0 && frames == number_of(tier, -1, "frames"));
}

static void check(const char* numa) {
  char variable[64];
  snprintf(variable, sizeof variable, "MEMPOOL_NUMA=%s", numa);
  const char* const env[] = {variable, "MEMPOOL_STATS=json", NULL};
  const Child child = run_self((const char* const[]){numa, "child", NULL}, env);
  EXPECT(exited_with(child.status, 0));
  fprintf(stderr, "%s%s", child.out, child.err);
  long frames[kNodes];
  long extents[kNodes];
  EXPECT(sscanf(child.out, "frames %ld %ld extents %ld %ld", &frames[0], &frames[1], &extents[0],
                &extents[1]) == 4);
  if (strcmp(numa, "off") == 0) {
    EXPECT(number_of(child.err, -1, "numa_nodes") == 1 && strstr(child.err, "\"nodes\"") == NULL);
    return;
  }
  EXPECT(number_of(child.err, -1, "numa_nodes") == kNodes);
  for (int node = 0; node < kNodes; ++node) {
    const long long in_frames = (long long)frames[node] * kPage;
    EXPECT(is_near(in_frames, number_of(child.err, node, "frames_resident_bytes")));
    const long long in_extents = (long long)extents[node] * kPage;
    EXPECT(is_near(in_extents, number_of(child.err, node, "large_resident_bytes")));
  }
  if (strcmp(numa, "local") == 0) check_books(child.err);
  if (strcmp(numa, "interleave") == 0) EXPECT(number_of(child.err, 0, "slab_bytes") == -1);
}

int main(int argc, char** argv) {
  EXPECT(argc == 2 || argc == 3);
  if (argc == 3) return hold_blocks();
  expect_preloaded();
  use_huge_pages(false);
  // Whichever node the process is started on.
  for (int node = 0; node < kNodes; ++node) {
    stay_on_node(node);
    check(argv[1]);
  }
  return 0;
}
