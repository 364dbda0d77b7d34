// pthread_key destructors that allocate anew in each of the four passes that a dying thread makes,
// with keys before and after the allocator's own, in 6000 threads: contents stay whole, each thread
// gets all its passes, and memory does not grow with the number of threads.
//
// A broken allocator gives its thread state away in the first pass and crashes, or builds a new one
// in the last pass that nobody takes down.
#include <stdatomic.h>

#include "dropin.h"

enum { kPasses = PTHREAD_DESTRUCTOR_ITERATIONS, kKeys = 40, kBlockSize = 200 };
enum { kBatchThreads = 6, kBatches = 1000, kWarmUpBatches = 200 };

// libc allocates a thread's values of keys above the 32nd with calloc.
static pthread_key_t keys[kKeys];
static atomic_long destructor_runs;

typedef struct {
  int key;
  int pass;
  unsigned char content[kBlockSize];
} Value;

static void set_value(int key, int pass) {
  Value* value = opaque(malloc(sizeof *value));
  EXPECT(value != NULL);
  value->key = key;
  value->pass = pass;
  fill(value->content, kBlockSize, (unsigned)(key + pass));
  EXPECT(pthread_setspecific(keys[key], value) == 0);
}

static void destroy(void* arg) {
  const Value* value = arg;
  const int key = value->key;
  const int pass = value->pass;
  EXPECT(holds(value->content, kBlockSize, (unsigned)(key + pass)));
  free(arg);
  atomic_fetch_add(&destructor_runs, 1);
  for (unsigned size = 16; size <= 32 * kKiB; size *= 2) check_and_free(filled(size, 1), size, 1);
  if (pass < kPasses) set_value(key, pass + 1);
}

static void* live_and_die(void* arg) {
  set_value(0, 1);
  set_value(kKeys - 1, 1);
  return arg;
}

int main(void) {
  for (int i = 0; i < kKeys; ++i) EXPECT(pthread_key_create(&keys[i], destroy) == 0);
  long before_kib = 0;
  for (int batch = 1; batch <= kBatches; ++batch) {
    run_threads(kBatchThreads, live_and_die);
    if (batch == kWarmUpBatches) before_kib = resident_kib();
    if (batch % kWarmUpBatches == 0) {
      const long kib = resident_kib();
      fprintf(stderr, "resident: %ld KiB after %d threads\n", kib, batch * kBatchThreads);
      EXPECT(kib < before_kib * 5 / 4 + 2 * kKiB);  // a page a thread would be 19 MiB
    }
  }
  EXPECT(atomic_load(&destructor_runs) == (long)kBatches * kBatchThreads * 2 * kPasses);
  return 0;
}
