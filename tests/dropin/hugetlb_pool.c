// MEMPOOL_HUGETLB where the kernel's pool has pages: this program puts there what is missing, as
// root, and takes it away again.
//
//   hugetlb_pool 2M   a heap lies on them as far as they go, torn frames keep theirs, empty ones go
//                     back by themselves, a child of fork has copies
//   hugetlb_pool 1G   a heap above 512 MiB gets a page of 1 GiB, which goes back when it is empty
#include <malloc.h>
#include <sys/file.h>

#include "hugetlb_pages.h"
#include "stats_report.h"

enum { kPages2M = 64, kPages1G = 1, kBlockBytes = 400, kFrameBytes = 2 * kMiB };

// --- The child, which runs on the pool. ---

typedef struct {
  char** blocks;
  size_t count;
} Heap;

static Heap make_heap(size_t bytes) {
  Heap heap = {NULL, bytes / kBlockBytes};
  heap.blocks = malloc(heap.count * sizeof *heap.blocks);
  EXPECT(heap.blocks != NULL);
  for (size_t i = 0; i < heap.count; ++i) heap.blocks[i] = filled(kBlockBytes, (unsigned)i);
  return heap;
}

// Frees all but the first block of each frame, or all.
static void free_blocks(Heap* heap, bool all) {
  uintptr_t kept = 0;
  for (size_t i = 0; i < heap->count; ++i) {
    const uintptr_t frame = (uintptr_t)heap->blocks[i] / kFrameBytes;
    if (heap->blocks[i] == NULL) continue;
    EXPECT(holds(heap->blocks[i], kBlockBytes, (unsigned)i));
    if (!all && frame != kept) {
      kept = frame;
      continue;
    }
    free(heap->blocks[i]);
    heap->blocks[i] = NULL;
  }
  if (all) free(heap->blocks);
  malloc_trim(0);
}

// There are pages enough for copies.
static void expect_child_writes(const Heap* heap) {
  const pid_t child = fork();
  if (child == 0) {
    for (size_t i = 0; i < heap->count; ++i) {
      if (!holds(heap->blocks[i], kBlockBytes, (unsigned)i)) _exit(1);
      fill(heap->blocks[i], kBlockBytes, 0xcc);
    }
    _exit(0);
  }
  expect_success(child);
  for (size_t i = 0; i < heap->count; ++i) {
    EXPECT(holds(heap->blocks[i], kBlockBytes, (unsigned)i));
  }
}

static void* wait_at(void* barrier) {
  pthread_barrier_wait((pthread_barrier_t*)barrier);
  return NULL;
}

// A process that has threads has a helper; nobody calls malloc_trim(), and the wait ends in time or
// with the process.
static void expect_helper_gives_back(void) {
  enum { kHeapMiB = 60, kLeftMiB = 20 };
  pthread_barrier_t barrier;
  pthread_t thread;
  EXPECT(pthread_barrier_init(&barrier, NULL, 2) == 0);
  EXPECT(pthread_create(&thread, NULL, wait_at, &barrier) == 0);
  Heap heap = make_heap((size_t)kHeapMiB * kMiB);
  EXPECT(hugetlb_kib() >= kHeapMiB * kKiB);
  for (size_t i = 0; i < heap.count; ++i) check_and_free(heap.blocks[i], kBlockBytes, (unsigned)i);
  free(heap.blocks);
  while (hugetlb_kib() > kLeftMiB * kKiB) usleep(20000);
  fprintf(stderr, "%ld KiB when the helper was there\n", hugetlb_kib());
  wait_at(&barrier);
  EXPECT(pthread_join(thread, NULL) == 0);
  malloc_trim(0);
}

static void use_2m(bool keep) {
  enum { kHeapMiB = 40 };
  Heap heap = make_heap((size_t)kHeapMiB * kMiB);
  const long used_kib = hugetlb_kib();
  fprintf(stderr, "%ld KiB of a heap of %d MiB\n", used_kib, kHeapMiB);
  EXPECT(used_kib >= kHeapMiB * kKiB);
  for (size_t i = 0; i < heap.count; i += heap.count / 8) {
    EXPECT(page_kib_at(heap.blocks[i]) == kKib2M);
  }
  expect_child_writes(&heap);
  free_blocks(&heap, false);
  fprintf(stderr, "%ld KiB when it is torn\n", hugetlb_kib());
  EXPECT(hugetlb_kib() > kHeapMiB * kKiB / 2);
  free_blocks(&heap, true);
  fprintf(stderr, "%ld KiB when it is empty\n", hugetlb_kib());
  EXPECT(hugetlb_kib() <= 3 * kKib2M);
  if (!keep) expect_helper_gives_back();
  // More than the pool has.
  heap = make_heap((size_t)(pool_read(kKib2M, "free_hugepages") + kPages2M / 2) * kFrameBytes);
  EXPECT(pool_read(kKib2M, "free_hugepages") == 0);
  EXPECT(page_kib_at(heap.blocks[heap.count - 1]) < kKib2M);
  free_blocks(&heap, true);
  EXPECT(hugetlb_kib() <= 3 * kKib2M);
  if (keep) make_heap((size_t)kHeapMiB * kMiB / 2);
}

// Blocks that nobody touches, until one of them lies on a page of 1 GiB. The table takes none.
static void use_1g(bool keep) {
  enum { kLargeBytes = 512 * kKiB, kLargeMax = 1700 * 2, kLookEach = 32 };
  static void* blocks[kLargeMax];
  unsigned count = 0;
  do {
    EXPECT(count < kLargeMax);
    blocks[count] = opaque(malloc(kLargeBytes));
    EXPECT(blocks[count] != NULL);
    ++count;
  } while (count % kLookEach != 0 || page_kib_at(blocks[count - 1]) != kKib1G);
  fprintf(stderr, "behind %u blocks of %d bytes\n", count, kLargeBytes);
  EXPECT(hugetlb_kib() == kKib1G);
  EXPECT(count * (kLargeBytes / kKiB) >= kKib1G / 2);
  void* last = blocks[count - 1];
  void* zeroed = opaque(calloc(1, kLargeBytes));
  EXPECT(zeroed != NULL && page_kib_at(zeroed) == kKib1G && holds(zeroed, kLargeBytes, 0));
  fill(last, kLargeBytes, 7);
  free(zeroed);
  for (unsigned i = 0; i + 1 < count; ++i) free(blocks[i]);
  malloc_trim(0);
  EXPECT(hugetlb_kib() == kKib1G && holds(last, kLargeBytes, 7));
  if (keep) return;
  free(last);
  malloc_trim(0);
  EXPECT(hugetlb_kib() == 0);
}

// --- Its parent, which reads what it reports. ---

static void judge(const char* pages) {
  EXPECT(setenv("MEMPOOL_HUGETLB", pages, 1) == 0);
  const bool is_1g = strcmp(pages, "1G") == 0;
  const char* report = report_of_self((const char* const[]){pages, "keep", NULL});
  const long frames = number_in(report, "buddy", "hugetlb_frames");
  fprintf(stderr, "%ld frames in the report\n", frames);
  EXPECT(is_1g ? frames == kKib1G / kKib2M : frames >= 10);
  EXPECT(frames <= number_in(report, "buddy", "frames"));
  report = report_of_self((const char* const[]){pages, "leave", NULL});
  EXPECT(number_in(report, "buddy", "hugetlb_frames") <= 3);
}

// --- And the parent of that, which owns the pool and checks nothing that could end it. ---

static long g_page_kib;
static long g_pages_before;

static void restore_and_die(int signal_number) {
  pool_resize(g_page_kib, g_pages_before);
  _exit(128 + signal_number);
}

int main(int argc, char** argv) {
  EXPECT(argc >= 2);
  const bool is_1g = strcmp(argv[1], "1G") == 0;
  if (argc == 3) {
    expect_same_allocator();
    const bool keep = strcmp(argv[2], "keep") == 0;
    if (is_1g) {
      use_1g(keep);
    } else {
      use_2m(keep);
    }
    return 0;
  }
  g_page_kib = is_1g ? kKib1G : kKib2M;
  if (pool_read(g_page_kib, "nr_hugepages") < 0) SKIP("this kernel has no such pages");
  // One such test at a time, of all on this host: each leaves what it has found.
  const int lock = open("/proc/sys/vm/nr_hugepages", O_RDONLY | O_CLOEXEC);
  EXPECT(lock >= 0 && flock(lock, LOCK_EX) == 0);
  g_pages_before = pool_read(g_page_kib, "nr_hugepages");
  if (!pool_resize(g_page_kib, g_pages_before)) SKIP("only root may fill the pool");
  const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  for (int i = 0; i < 4; ++i) signal(signals[i], restore_and_die);
  const long wanted = is_1g ? kPages1G : kPages2M;
  const long missing = wanted - pool_read(g_page_kib, "free_hugepages");
  if (missing > 0) pool_resize(g_page_kib, g_pages_before + missing);
  int status = 0;
  // All of it is used up, too: no more than this program makes.
  const long available = pool_read(g_page_kib, "free_hugepages");
  const bool is_filled = available >= wanted && available <= 4 * wanted;
  const pid_t judging = is_filled ? fork() : -1;
  if (judging == 0) {
    for (int i = 0; i < 4; ++i) signal(signals[i], SIG_DFL);
    judge(argv[1]);
    return 0;
  }
  if (judging > 0) waitpid(judging, &status, 0);
  pool_resize(g_page_kib, g_pages_before);
  if (!is_filled) SKIP("the kernel has no pages for the pool, or it is large");
  EXPECT(judging > 0 && exited_with(status, 0));
  return 0;
}
