// Blocks of every size on threads that change hands, and at the end either all of them freed
// ("none") or some of them kept ("some"). Either way each thread makes the same calls up to there,
// and what libc itself holds is the same: stress_stats.py compares the two reports at exit.
//
// "some" prints "USABLE COUNT" for each usable size of which blocks are kept.
//
// "fork" forks while the threads rest, and "busy" while they work; parent and child make no request
// from then on. "fork" prints "USED CACHED", the bytes in use and those in the threads' caches
// right before.
#include <pthread.h>
#include <sys/wait.h>

#include "stress.h"

namespace {

using namespace stress;

constexpr size_t kThreads = 6;
constexpr size_t kOwn = 400;
constexpr size_t kSteps = 30000;
constexpr int kBusyForks = 20;

struct Worker {
  uint64_t seed;
  Block blocks[kOwn];
};

Worker g_workers[kThreads];
pthread_barrier_t g_barrier;
// With the main thread, too.
pthread_barrier_t g_rest;

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
  pthread_barrier_wait(&g_rest);
  pthread_barrier_wait(&g_rest);
  return nullptr;
}

// The child is done at once: its report tells of the moment of the fork.
pid_t fork_child() {
  const pid_t child = fork();
  STRESS_CHECK(child >= 0);
  if (child == 0) exit(0);
  return child;
}

void expect_good_end(pid_t child) {
  int status = 0;
  STRESS_CHECK(waitpid(child, &status, 0) == child && status == 0);
}

void print_figures() {
  const struct mallinfo2 info = mallinfo2();
  char line[64];
  const int length =
      snprintf(line, sizeof line, "%zu %zu\n", info.uordblks + info.hblkhd, info.fsmblks);
  STRESS_CHECK(write(STDOUT_FILENO, line, static_cast<size_t>(length)) == length);
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
  const char* const mode = argv[1];
  Random random(strtoull(argv[2], nullptr, 0));
  pthread_barrier_init(&g_barrier, nullptr, kThreads);
  pthread_barrier_init(&g_rest, nullptr, kThreads + 1);
  pthread_t threads[kThreads];
  for (size_t i = 0; i < kThreads; ++i) {
    g_workers[i].seed = random.next();
    STRESS_CHECK(pthread_create(&threads[i], nullptr, run_worker, &g_workers[i]) == 0);
  }
  if (strcmp(mode, "busy") == 0) {
    for (int i = 0; i < kBusyForks; ++i) expect_good_end(fork_child());
  }
  pthread_barrier_wait(&g_rest);
  if (strcmp(mode, "fork") == 0) {
    print_figures();
    expect_good_end(fork_child());
  }
  pthread_barrier_wait(&g_rest);
  for (pthread_t thread : threads) STRESS_CHECK(pthread_join(thread, nullptr) == 0);
  if (strcmp(mode, "some") == 0) {
    print_kept();
    return 0;
  }
  for (Worker& worker : g_workers) {
    for (Block& block : worker.blocks) release(block);
  }
  return 0;
}
