// Threads that never ask the heap for anything and free at their very end, where a cache that is
// made for them is taken down by nobody:
//
//   destructor   a pthread key's destructor frees a block of the parent's
//   detached     libc frees what other dead threads have left, after all destructors
//
// A broken allocator keeps a thread's cache, and the blocks in it, for each of them.
#include "dropin.h"

enum { kRounds = 100, kRoundThreads = 20, kWarmUpRounds = 20 };

static pthread_key_t key;
static pthread_barrier_t started;

static void* leave_to_destructor(void* block) {
  EXPECT(pthread_setspecific(key, block) == 0);
  return NULL;
}

static void one_by_one(void) {
  for (int i = 0; i < kRoundThreads; ++i) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, leave_to_destructor, filled(100, 1)) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
  }
}

static void* wait_for_others(void* arg) {
  pthread_barrier_wait(&started);
  return arg;
}

// So many at once that libc does not keep all their stacks.
static void all_at_once(void) {
  pthread_attr_t detached;
  EXPECT(pthread_attr_init(&detached) == 0);
  EXPECT(pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED) == 0);
  EXPECT(pthread_barrier_init(&started, NULL, kRoundThreads + 1) == 0);
  for (int i = 0; i < kRoundThreads; ++i) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, &detached, wait_for_others, NULL) == 0);
  }
  pthread_barrier_wait(&started);
  usleep(5000);
  EXPECT(pthread_attr_destroy(&detached) == 0);
}

int main(int argc, char** argv) {
  EXPECT(argc == 2);
  const bool in_destructor = strcmp(argv[1], "destructor") == 0;
  EXPECT(pthread_key_create(&key, free) == 0);
  long before_kib = 0;
  for (int round = 0; round < kRounds; ++round) {
    if (round == kWarmUpRounds) before_kib = resident_kib();
    if (in_destructor) {
      one_by_one();
    } else {
      all_at_once();
    }
  }
  const long kib = resident_kib();
  fprintf(stderr, "resident: %ld KiB, then %ld KiB\n", before_kib, kib);
  EXPECT(kib < before_kib + 2 * kKiB);  // a cache a thread would be 12 MiB
  return 0;
}
