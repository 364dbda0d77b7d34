// mallinfo2 and mallinfo tell the truth: bytes in use move by exactly the blocks that are made and
// freed, whichever thread holds them, and mallinfo has the same figures cut to int.
//
// As in glibc, hblkhd holds the mapped blocks and uordblks all others; used_bytes() is what is in
// use.
#include <limits.h>
#include <pthread.h>

#include "check.h"

enum { kThreads = 3, kBlocksMax = 100000 };

// What the set's blocks add to the bytes in use: at least what was asked for; at most what is
// usable and, in an allocator that keeps one, a header.
struct Set {
  void* blocks[kBlocksMax];
  size_t count, asked_bytes, most_bytes;
};

static struct Set sets[kThreads];
static pthread_barrier_t barrier;

static size_t used_bytes(void) {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

static void make_set(struct Set* set, size_t total, size_t least, size_t most, uint64_t seed) {
  set->count = set->asked_bytes = set->most_bytes = 0;
  while (set->asked_bytes < total) {
    const size_t size = least + next_random(&seed) % (most - least + 1);
    CHECK(set->count < kBlocksMax);
    void* block = malloc(size);
    CHECK(block != NULL);
    set->blocks[set->count++] = block;
    set->asked_bytes += size;
    set->most_bytes += malloc_usable_size(block) + 16;
  }
}

static void free_set(struct Set* set) {
  for (size_t i = 0; i < set->count; ++i) free(set->blocks[i]);
  set->count = 0;
}

static void expect_grown(size_t before, size_t now, size_t asked, size_t most, const char* what) {
  CHECK_WITH(now - before >= asked && now - before <= most, "%s: moved by %zd, not by %zu to %zu",
             what, (ssize_t)(now - before), asked, most);
}

static void follows_one_thread(size_t total, size_t least, size_t most) {
  struct Set* set = &sets[0];
  const struct mallinfo2 before = mallinfo2();
  const size_t used_before = used_bytes();
  make_set(set, total, least, most, total);
  if (most < 100 * KIB) {
    expect_grown(before.uordblks, mallinfo2().uordblks, set->asked_bytes, set->most_bytes,
                 "uordblks");
  }
  expect_grown(used_before, used_bytes(), set->asked_bytes, set->most_bytes, "one thread");
  free_set(set);
  CHECK_WITH(used_bytes() == used_before, "%zu..%zu, all freed: %zu, not %zu", least, most,
             used_bytes(), used_before);
}

static void* hold_a_set(void* argument) {
  struct Set* set = (struct Set*)argument;
  pthread_barrier_wait(&barrier);  // all threads run
  pthread_barrier_wait(&barrier);  // before has been taken
  make_set(set, 10 * MIB, 16, 30000, (uintptr_t)(set - sets));
  pthread_barrier_wait(&barrier);  // all sets are made
  pthread_barrier_wait(&barrier);  // they have been looked at
  if (set == &sets[0]) free_set(set);
  pthread_barrier_wait(&barrier);  // the first set is freed by its thread
  pthread_barrier_wait(&barrier);  // the others have been freed by main
  return NULL;
}

static void follows_other_threads(void) {
  pthread_t threads[kThreads];
  CHECK(pthread_barrier_init(&barrier, NULL, kThreads + 1) == 0);
  for (int i = 0; i < kThreads; ++i) {
    CHECK(pthread_create(&threads[i], NULL, hold_a_set, &sets[i]) == 0);
  }
  pthread_barrier_wait(&barrier);
  const size_t before = used_bytes();
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  size_t asked = 0, most = 0;
  for (int i = 0; i < kThreads; ++i) {
    asked += sets[i].asked_bytes;
    most += sets[i].most_bytes;
  }
  expect_grown(before, used_bytes(), asked, most, "held by three threads");
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  expect_grown(before, used_bytes(), asked - sets[0].asked_bytes, most - sets[0].most_bytes,
               "held by two threads");
  for (int i = 1; i < kThreads; ++i) free_set(&sets[i]);
  CHECK_WITH(used_bytes() == before, "freed by main: %zu, not %zu", used_bytes(), before);
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < kThreads; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
}

// glibc cuts each figure to its low 32 bits; ending at INT_MAX would be as good.
static void expect_cut(size_t wide, int narrow, const char* field) {
  CHECK_WITH(narrow == (int)wide || (narrow == INT_MAX && wide > INT_MAX), "%s: %d, not %zu", field,
             narrow, wide);
}

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // mallinfo itself

static void mallinfo_is_mallinfo2_cut(void) {
  void* small = malloc(100);
  void* huge = malloc(opaque(3 * GIB));  // untouched, so that it needs no memory; may be refused
  const struct mallinfo2 wide = mallinfo2();
  const struct mallinfo narrow = mallinfo();
  CHECK(wide.arena + wide.hblkhd > 0);
  expect_cut(wide.arena, narrow.arena, "arena");
  expect_cut(wide.ordblks, narrow.ordblks, "ordblks");
  expect_cut(wide.hblks, narrow.hblks, "hblks");
  expect_cut(wide.hblkhd, narrow.hblkhd, "hblkhd");
  expect_cut(wide.uordblks, narrow.uordblks, "uordblks");
  expect_cut(wide.fordblks, narrow.fordblks, "fordblks");
  expect_cut(wide.keepcost, narrow.keepcost, "keepcost");
  if (huge != NULL) CHECK(used_bytes() > 3 * GIB);
  free(huge);
  free(small);
}

int main(void) {
  follows_one_thread(MIB, 16, 512);
  follows_one_thread(MIB, 1100, 60000);
  follows_one_thread(100 * MIB, 1100, 60000);
  follows_one_thread(100 * MIB, 3 * MIB, 5 * MIB);
  follows_other_threads();
  mallinfo_is_mallinfo2_cut();
  return 0;
}
