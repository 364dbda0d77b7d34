// A program that reserves a large part of the address space for itself (databases, virtual machines
// and garbage collectors do), before and after its first allocations: there is room for the heap
// elsewhere, and it is found.
//
// A broken allocator has a fixed place for its growth, and says that memory is out.
#include "dropin.h"

static const size_t kTiB = (size_t)1 << 40;

static void* reserve(size_t bytes) {
  void* range = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return range == MAP_FAILED ? NULL : range;
}

// 64 MiB in blocks of this size, all alive at once.
static void allocate_many(size_t size) {
  void* newest = NULL;
  for (size_t served = 0; served < 64 * kMiB; served += size) {
    void** block = filled(size, 7);
    *block = newest;
    newest = block;
  }
  while (newest != NULL) {
    void* previous = *(void**)newest;
    EXPECT(holds((char*)newest + sizeof previous, size - sizeof previous, 7));
    free(newest);
    newest = previous;
  }
}

int main(int argc, char** argv) {
  EXPECT(argc == 2);
  const size_t bytes = strtoul(argv[1], NULL, 10) * kTiB;
  if (reserve(bytes) == NULL) SKIP("this system has no such range of addresses");
  const size_t sizes[] = {16, 200, 1000, 5000, 30000, 100000, 700000, 5000000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) allocate_many(sizes[i]);
  return 0;
}
