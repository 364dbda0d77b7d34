// Memory that runs out, everywhere and again and again: under random limits of the address space
// requests fail in every tier and on several threads at once. No block loses its contents, a
// realloc that was refused leaves its block whole, and what is freed can be had again.
#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>

#include "stress.h"

namespace {

using namespace stress;

constexpr size_t kOwn = 4096;
constexpr size_t kThreads = 3;
constexpr unsigned kChildHangSeconds = 240;

std::atomic<uint64_t> g_refused{0};

struct Worker {
  uint64_t seed;
  Block blocks[kOwn];
};

Worker g_workers[kThreads];

size_t address_space_bytes() {
  FILE* file = fopen("/proc/self/statm", "r");
  STRESS_CHECK(file != nullptr);
  size_t pages = 0;
  STRESS_CHECK(fscanf(file, "%zu", &pages) == 1);
  fclose(file);
  return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

void set_limit(size_t bytes) {
  const rlimit limit{bytes, RLIM_INFINITY};
  STRESS_CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

void* run_worker(void* argument) {
  Worker& worker = *static_cast<Worker*>(argument);
  Random random(worker.seed);
  uint64_t id = worker.seed << 32;
  // First more than there is, then as many frees as requests.
  for (size_t i = 0; i < 3 * kOwn; ++i) {
    Block& block = worker.blocks[i < kOwn ? i : random.below(kOwn)];
    if (block.data == nullptr) {
      errno = 0;
      block = allocate(random, ++id);
      if (block.data == nullptr) g_refused.fetch_add(1);
    } else if (random.one_in(3)) {
      if (!reallocate(random, block, ++id)) g_refused.fetch_add(1);
    } else {
      release(block);
    }
  }
  return nullptr;
}

// Blocks of one size until three quarters of the room are theirs: nothing of what other tiers have
// freed may be in their way.
void expect_most_of(size_t room, size_t bytes, const char* tier) {
  constexpr size_t kMost = 1 << 18;
  static void* blocks[kMost];
  const size_t wanted = std::min(room / 4 * 3 / bytes, kMost);
  for (size_t i = 0; i < wanted; ++i) {
    blocks[i] = hide(malloc(bytes));
    if (blocks[i] != nullptr) continue;
    fprintf(stderr, "%s: %zu of %zu blocks of %zu bytes, room %zu\n", tier, i, wanted, bytes, room);
    STRESS_CHECK(false && "what was freed cannot be had again");
  }
  for (size_t i = 0; i < wanted; ++i) free(blocks[i]);
}

[[noreturn]] void be_child(uint64_t seed) {
  alarm(kChildHangSeconds);
  Random random(seed);
  const size_t room = (24 + random.below(200)) * kMiB;
  set_limit(address_space_bytes() + kThreads * 8 * kMiB + room);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * kKiB);
  pthread_t threads[kThreads];
  bool started[kThreads] = {};
  for (size_t i = 0; i < kThreads; ++i) {
    g_workers[i].seed = random.next();
    started[i] = pthread_create(&threads[i], &attributes, run_worker, &g_workers[i]) == 0;
  }
  for (size_t i = 0; i < kThreads; ++i) {
    if (started[i]) STRESS_CHECK(pthread_join(threads[i], nullptr) == 0);
  }
  for (Worker& worker : g_workers) {
    for (Block& block : worker.blocks) release(block, "after memory ran out");
  }
  // Each tier in turn takes the room that the one before it has freed.
  expect_most_of(room, 6 * kMiB, "large");
  expect_most_of(room, 1000, "small");
  expect_most_of(room, 256 * kKiB, "buddy");
  expect_most_of(room, 20000, "medium");
  expect_most_of(room, 3 * kMiB, "large again");
  _exit(g_refused.load() > 0 ? 0 : 1);
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings(argc, argv);
  Random random(settings.seed);
  const double end = now_seconds() + settings.seconds;
  unsigned rounds = 0;
  unsigned without_refusal = 0;
  do {
    const uint64_t seed = random.next();
    const pid_t child = fork();
    if (child == 0) be_child(seed);
    int status = 0;
    STRESS_CHECK(child > 0 && waitpid(child, &status, 0) == child);
    if (status != 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 1)) {
      fprintf(stderr, "round %u, seed of the round %llu: wait status 0x%x\n", rounds,
              static_cast<unsigned long long>(seed), static_cast<unsigned>(status));
      return 1;
    }
    without_refusal += status != 0;
    ++rounds;
  } while (now_seconds() < end);
  printf("%u rounds, %u of them with room enough\n", rounds, without_refusal);
  return rounds > without_refusal ? 0 : 1;
}
