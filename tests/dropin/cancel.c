// pthread_cancel() of threads that allocate.
//
//   pending   a thread with a cancellation pending allocates and frees in every tier and reaches
//   the
//             end: malloc and free are no cancellation points.
//   deferred  a thread is cancelled wherever it calls pthread_testcancel(); its clean-up handlers
//             free what it holds.
//   async     a thread whose cancellation is asynchronous, but switched off while it allocates; it
//             is cancelled meanwhile, and ends when it switches cancellation on again.
//
// A broken allocator opens or writes a file in its slow path and dies there, holding a lock.
#include <stdatomic.h>

#include "dropin.h"

enum { kThreads = 300 };

static atomic_int ready;     // threads of this round that may be cancelled
static atomic_bool sent;     // they have been
static atomic_int finished;  // threads that came to their end, or whose clean-up handler ran

static void free_block(void* block) {
  check_and_free(block, 5000, 3);
  atomic_fetch_add(&finished, 1);
}

static void* allocate_with_cancel_pending(void* arg) {
  pthread_cancel(pthread_self());
  use_heap((uint32_t)(uintptr_t)arg, 300);
  for (size_t size = 1; size <= 4 * kMiB; size = size * 2 + 1) {
    check_and_free(filled(size, 1), size, 1);
  }
  atomic_fetch_add(&finished, 1);
  pthread_testcancel();
  FAIL("was not cancelled at pthread_testcancel()");
  return NULL;
}

static void* allocate_until_cancelled(void* arg) {
  void* block = filled(5000, 3);
  pthread_cleanup_push(free_block, block);
  atomic_fetch_add(&ready, 1);
  for (uint32_t seed = (uint32_t)(uintptr_t)arg;; ++seed) {
    use_heap(seed, 20);
    pthread_testcancel();
  }
  pthread_cleanup_pop(0);
  return NULL;
}

static void* allocate_with_cancel_off(void* arg) {
  int old;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
  void* block = filled(5000, 3);
  pthread_cleanup_push(free_block, block);
  atomic_fetch_add(&ready, 1);
  for (uint32_t seed = (uint32_t)(uintptr_t)arg; !atomic_load(&sent); ++seed) use_heap(seed, 20);
  use_heap(1, 20);
  pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
  for (;;) pause();
  pthread_cleanup_pop(0);
  return NULL;
}

static void cancel_threads(void* (*body)(void*), bool pending) {
  for (uintptr_t i = 0; i < kThreads; i += 2) {
    pthread_t threads[2];
    atomic_store(&ready, 0);
    atomic_store(&sent, false);
    for (uintptr_t j = 0; j < 2; ++j) {
      EXPECT(pthread_create(&threads[j], NULL, body, (void*)(i + j)) == 0);
    }
    while (!pending && atomic_load(&ready) < 2) use_heap((uint32_t)i, 10);
    for (int j = 0; !pending && j < 2; ++j) EXPECT(pthread_cancel(threads[j]) == 0);
    atomic_store(&sent, true);
    for (int j = 0; j < 2; ++j) EXPECT(pthread_join(threads[j], NULL) == 0);
  }
  EXPECT(atomic_load(&finished) == kThreads);
}

int main(int argc, char** argv) {
  EXPECT(argc == 2);
  if (strcmp(argv[1], "pending") == 0) {
    cancel_threads(allocate_with_cancel_pending, true);
  } else {
    const bool deferred = strcmp(argv[1], "deferred") == 0;
    cancel_threads(deferred ? allocate_until_cancelled : allocate_with_cancel_off, false);
  }
  return 0;
}
