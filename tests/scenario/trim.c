// malloc_trim(0) gives back what other threads have freed, too, though they sleep: it returns 1 and
// the resident size falls; called again at once it finds nothing and returns 0. What a sleeping
// thread has in its own cache, which nobody else may touch, stays: it is little, and within the
// bound below.
#include <pthread.h>

#include "check.h"

enum { kThreads = 3, kBlocksMax = 200000, kSurvivors = 8 };

static const size_t kBytesPerThread = 67 * MIB;
// The share of the freed bytes that may stay: the sleeping threads' caches, half-used pages around
// what lives, and the allocator's own.
static const size_t kMayStay = 20 * MIB;

static struct Holder {
  void* blocks[kBlocksMax];
  size_t sizes[kBlocksMax];
  size_t count;
} holders[kThreads];

static pthread_barrier_t barrier;

// A third of the bytes each in small, medium and large blocks, in mixed order, 100 bytes to 2 MiB.
static void allocate_mixed(struct Holder* holder, uint64_t* random) {
  static const size_t kLeast[] = {100, 2000, 64 * KIB}, kMost[] = {2000, 64 * KIB, 2 * MIB};
  size_t held[3] = {0, 0, 0};
  while (held[0] + held[1] + held[2] < kBytesPerThread) {
    int kind = 0;
    for (int k = 1; k < 3; ++k) kind = held[k] < held[kind] ? k : kind;
    const size_t size = kLeast[kind] + next_random(random) % (kMost[kind] - kLeast[kind]);
    void* block = malloc(size);
    CHECK(block != NULL && holder->count < kBlocksMax);
    fill(block, size, size);
    holder->blocks[holder->count] = block;
    holder->sizes[holder->count++] = size;
    held[kind] += size;
  }
}

// Frees in random order all but the last few, which must keep their content.
static void free_most(struct Holder* holder, uint64_t* random) {
  for (; holder->count > kSurvivors; --holder->count) {
    const size_t last = holder->count - 1, chosen = next_random(random) % holder->count;
    CHECK(is_filled(holder->blocks[chosen], holder->sizes[chosen], holder->sizes[chosen]));
    free(holder->blocks[chosen]);
    holder->blocks[chosen] = holder->blocks[last];
    holder->sizes[chosen] = holder->sizes[last];
  }
}

static void* hold_and_free(void* argument) {
  struct Holder* holder = (struct Holder*)argument;
  uint64_t random = (uint64_t)(holder - holders) + 1;
  pthread_barrier_wait(&barrier);  // all threads run
  pthread_barrier_wait(&barrier);  // the resident size has been taken
  allocate_mixed(holder, &random);
  pthread_barrier_wait(&barrier);  // all is allocated
  pthread_barrier_wait(&barrier);  // the resident size has been taken
  free_most(holder, &random);
  pthread_barrier_wait(&barrier);  // most is freed
  pthread_barrier_wait(&barrier);  // main has trimmed
  for (size_t i = 0; i < holder->count; ++i) {
    CHECK(is_filled(holder->blocks[i], holder->sizes[i], holder->sizes[i]));
  }
  allocate_mixed(holder, &random);  // what was given back can be had again
  for (size_t i = 0; i < holder->count; ++i) {
    CHECK(is_filled(holder->blocks[i], holder->sizes[i], holder->sizes[i]));
    free(holder->blocks[i]);
  }
  return NULL;
}

int main(void) {
  pthread_t threads[kThreads];
  CHECK(pthread_barrier_init(&barrier, NULL, kThreads + 1) == 0);
  for (int i = 0; i < kThreads; ++i) {
    CHECK(pthread_create(&threads[i], NULL, hold_and_free, &holders[i]) == 0);
  }
  // The harness's own tables count as resident from the start.
  for (int i = 0; i < kThreads; ++i) memset(&holders[i], 1, offsetof(struct Holder, count));
  pthread_barrier_wait(&barrier);
  const size_t before = resident_bytes();
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  const size_t full = resident_bytes();
  CHECK_WITH(full > before + kThreads * kBytesPerThread * 9 / 10, "%zu -> %zu", before, full);
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  const size_t freed = resident_bytes();

  const int first = malloc_trim(0);
  const int second = malloc_trim(0);
  const size_t trimmed = resident_bytes();
  CHECK_WITH(first == 1, "returned %d", first);
  CHECK_WITH(trimmed < before + kMayStay,
             "resident MiB: %zu before, %zu full, %zu freed, %zu trimmed", before / MIB, full / MIB,
             freed / MIB, trimmed / MIB);
  CHECK_WITH(second == 0, "returned %d", second);
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < kThreads; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
  return 0;
}
