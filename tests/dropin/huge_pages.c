// MEMPOOL_THP, with whatever the host says of transparent huge pages.
//
//   huge_pages always   a dense heap lies on huge pages for four fifths at least
//   huge_pages never    and on none, whatever the host says
//   huge_pages torn     of a heap that is left with a block in each 2 MiB, as little stays as
//                       without huge pages
#include <malloc.h>

#include "dropin.h"

enum { kBlockBytes = 400, kHeapMiB = 256, kHugeBytes = 2 * kMiB };

// KiB, the sum of a field over all mappings.
static long smaps_sum(const char* field) {
  char line[256];
  long sum = 0;
  FILE* file = fopen("/proc/self/smaps", "r");
  if (file == NULL) return -1;
  while (fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, field, strlen(field)) == 0) sum += atol(line + strlen(field));
  }
  fclose(file);
  return sum;
}

// Whether whoever asks for a huge page gets one.
static bool kernel_gives_huge_pages(void) {
  char* range =
      mmap(NULL, 2 * kHugeBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT(range != MAP_FAILED);
  char* aligned = range + (kHugeBytes - (uintptr_t)range % kHugeBytes) % kHugeBytes;
  const bool is_advised = madvise(aligned, kHugeBytes, MADV_HUGEPAGE) == 0;
  aligned[0] = 1;
  const bool is_huge = is_advised && smaps_sum("AnonHugePages:") >= kHugeBytes / kKiB;
  munmap(range, 2 * kHugeBytes);
  return is_huge;
}

// A dense heap; its blocks, in the order in which they were handed out.
static char** make_heap(size_t* count) {
  *count = (size_t)kHeapMiB * kMiB / kBlockBytes;
  char** blocks = malloc(*count * sizeof *blocks);
  EXPECT(blocks != NULL);
  for (size_t i = 0; i < *count; ++i) {
    blocks[i] = malloc(kBlockBytes);
    EXPECT(blocks[i] != NULL);
    fill(blocks[i], kBlockBytes, (unsigned)i);
  }
  return blocks;
}

// Keeps the first block of each 2 MiB.
static void tear(char** blocks, size_t count) {
  uintptr_t kept = 0;
  for (size_t i = 0; i < count; ++i) {
    const uintptr_t frame = (uintptr_t)blocks[i] / kHugeBytes;
    if (frame != kept) {
      kept = frame;
      continue;
    }
    free(blocks[i]);
    blocks[i] = NULL;
  }
  malloc_trim(0);
}

int main(int argc, char** argv) {
  EXPECT(argc == 2);
  const bool never = strcmp(argv[1], "never") == 0;
  const bool torn = strcmp(argv[1], "torn") == 0;
  if (getenv("MEMPOOL_THP") == NULL) {
    EXPECT(setenv("MEMPOOL_THP", never ? "never" : "always", 1) == 0);
    execv(argv[0], argv);
    FAIL("execv");
  }
  if (smaps_sum("Rss:") <= 0) SKIP("no /proc/self/smaps");
  if (!never && !kernel_gives_huge_pages()) SKIP("this kernel gives no huge pages");
  size_t count = 0;
  char** blocks = make_heap(&count);
  const long huge_kib = smaps_sum("AnonHugePages:");
  printf("%ld KiB of huge pages\n", huge_kib);
  EXPECT(never ? huge_kib == 0 : huge_kib > kHeapMiB * 1024L * 4 / 5);
  if (torn) {
    tear(blocks, count);
    const long rss_kib = smaps_sum("Rss:");
    printf("%ld KiB left\n", rss_kib);
    // A page for each block that stays, the map, the table of blocks, and the program.
    EXPECT(rss_kib < kHeapMiB / 2 * 8 + 16 * 1024);
    EXPECT(smaps_sum("AnonHugePages:") < huge_kib / 20);
  }
  for (size_t i = 0; i < count; ++i) {
    if (blocks[i] != NULL) EXPECT(holds(blocks[i], kBlockBytes, (unsigned)i));
    free(blocks[i]);
  }
  free(blocks);
  return 0;
}
