// Blocks of every size on threads that change hands, and at the end either all of them freed
// ("none") or some of them kept ("some"). Either way each thread makes the same calls up to there,
// and what libc itself holds is the same: stress_stats.py compares the two reports at exit.
//
// Prints "USABLE COUNT" for each usable size of which blocks are kept.
#include <pthread.h>

#include "stress.h"

namespace {

using namespace stress;

constexpr size_t kThreads = 6;
constexpr size_t kOwn = 400;
constexpr size_t kSteps = 30000;

struct Worker {
  uint64_t seed;
  Block blocks[kOwn];
};

Worker g_workers[kThreads];
pthread_barrier_t g_barrier;

void* run_worker(void* argument) {
  Worker& worker = *static_cast<Worker*>(argument);
  Random random(worker.seed);
  uint64_t id = worker.seed;
  // All at once, so that libc has the same stacks in hand in either run.
  pthread_barrier_wait(&g_barrier);
  for (size_t i = 0; i < kSteps; ++i) {
    Block& block = worker.blocks[random.below(kOwn)];
    if (block.data == nullptr) {
      block = allocate(random, ++id);
      STRESS_CHECK(block.data != nullptr);
    } else if (random.one_in(3)) {
      STRESS_CHECK(reallocate(random, block, ++id));
    } else {
      release(block);
    }
  }
  pthread_barrier_wait(&g_barrier);
  // Each frees half of what its neighbour has.
  Worker& next = g_workers[(static_cast<size_t>(&worker - g_workers) + 1) % kThreads];
  for (size_t i = 0; i < kOwn; i += 2) release(next.blocks[i], "of another thread");
  pthread_barrier_wait(&g_barrier);
  return nullptr;
}

void print_kept() {
  static size_t usable[kThreads * kOwn];
  static size_t counts[kThreads * kOwn];
  size_t sizes = 0;
  for (const Worker& worker : g_workers) {
    for (const Block& block : worker.blocks) {
      if (block.data == nullptr) continue;
      const size_t bytes = malloc_usable_size(block.data);
      size_t i = 0;
      while (i < sizes && usable[i] != bytes) ++i;
      usable[i] = bytes;
      ++counts[i];
      if (i == sizes) ++sizes;
    }
  }
  // No FILE: its buffer would be a live block of libc's.
  for (size_t i = 0; i < sizes; ++i) {
    char line[64];
    const int length = snprintf(line, sizeof line, "%zu %zu\n", usable[i], counts[i]);
    STRESS_CHECK(write(STDOUT_FILENO, line, static_cast<size_t>(length)) == length);
  }
}

}  // namespace

int main(int argc, char** argv) {
  STRESS_CHECK(argc == 3);
  const bool keeps = strcmp(argv[1], "some") == 0;
  Random random(strtoull(argv[2], nullptr, 0));
  pthread_barrier_init(&g_barrier, nullptr, kThreads);
  pthread_t threads[kThreads];
  for (size_t i = 0; i < kThreads; ++i) {
    g_workers[i].seed = random.next();
    STRESS_CHECK(pthread_create(&threads[i], nullptr, run_worker, &g_workers[i]) == 0);
  }
  for (pthread_t thread : threads) STRESS_CHECK(pthread_join(thread, nullptr) == 0);
  if (keeps) {
    print_kept();
    return 0;
  }
  for (Worker& worker : g_workers) {
    for (Block& block : worker.blocks) release(block);
  }
  return 0;
}
