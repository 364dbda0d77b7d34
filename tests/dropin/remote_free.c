// Blocks freed by another thread: their contents arrive whole, and their memory is used again.
//
//   living  one thread allocates, another frees, both live on.
//   dead    the thread that allocated has died before its blocks are freed.
//
// A broken allocator keeps such blocks where nobody allocates from: memory grows round by round.
#include "dropin.h"

enum { kBlocks = 20000, kRounds = 60, kWarmUpRounds = 10 };

static void* blocks[kBlocks];
static pthread_barrier_t turn;

static size_t size_of(unsigned i) { return i % 100 == 0 ? 20000 : i % 500 + 1; }

static void allocate_all(unsigned round) {
  for (unsigned i = 0; i < kBlocks; ++i) blocks[i] = filled(size_of(i), i + round);
}

static void free_all(unsigned round) {
  for (unsigned i = 0; i < kBlocks; ++i) check_and_free(blocks[i], size_of(i), i + round);
}

static void* allocate_each_round(void* arg) {
  for (unsigned round = 0; round < kRounds; ++round) {
    allocate_all(round);
    pthread_barrier_wait(&turn);  // full
    pthread_barrier_wait(&turn);  // empty
  }
  return arg;
}

static void* allocate_and_die(void* arg) {
  allocate_all((unsigned)(uintptr_t)arg);
  return NULL;
}

static void fill_round(bool living, unsigned round) {
  if (living) {
    pthread_barrier_wait(&turn);
    return;
  }
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, allocate_and_die, (void*)(uintptr_t)round) == 0);
  EXPECT(pthread_join(thread, NULL) == 0);
}

int main(int argc, char** argv) {
  EXPECT(argc == 2);
  const bool living = strcmp(argv[1], "living") == 0;
  pthread_t thread;
  EXPECT(pthread_barrier_init(&turn, NULL, 2) == 0);
  if (living) EXPECT(pthread_create(&thread, NULL, allocate_each_round, NULL) == 0);
  long before_kib = 0;
  for (unsigned round = 0; round < kRounds; ++round) {
    fill_round(living, round);
    free_all(round);
    if (living) pthread_barrier_wait(&turn);
    if (round == kWarmUpRounds) before_kib = resident_kib();
  }
  if (living) EXPECT(pthread_join(thread, NULL) == 0);
  const long after_kib = resident_kib();
  fprintf(stderr, "resident: %ld KiB after %d rounds, %ld KiB after %d\n", before_kib,
          kWarmUpRounds, after_kib, kRounds);
  EXPECT(after_kib < before_kib * 3 / 2 + 4 * kKiB);  // a round allocates 9 MiB
  return 0;
}
