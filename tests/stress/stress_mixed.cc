// Threads that allocate, resize, free and hand over blocks of every tier while threads are born and
// die and the process forks. Every block is checked when it is touched; a child checks what it has
// inherited, uses the heap and is gone.
#include <pthread.h>
#include <sys/wait.h>

#include <atomic>

#include "stress.h"

namespace {

using namespace stress;

constexpr size_t kOwn = 192;
constexpr size_t kExchange = 1024;
constexpr unsigned kChildHangSeconds = 120;

struct Exchange {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  Block blocks[kExchange];
};

Exchange g_exchange;
std::atomic<bool> g_stop{false};
std::atomic<uint64_t> g_next_id{1};
std::atomic<uint64_t> g_forks{0};

struct Worker {
  explicit Worker(uint64_t seed) : random(seed) {}

  void step() {
    Block& block = blocks[random.below(kOwn)];
    if (block.data == nullptr) {
      block = allocate(random, g_next_id.fetch_add(1));
      STRESS_CHECK(block.data != nullptr);
      return;
    }
    switch (random.below(8)) {
      case 0:
      case 1:
        STRESS_CHECK(reallocate(random, block, g_next_id.fetch_add(1)));
        break;
      case 2:
      case 3:
        hand_over(block);
        break;
      case 4:
        block.check("while it lives");
        break;
      default:
        release(block);
    }
  }

  void hand_over(Block& block) {
    Block& other = g_exchange.blocks[random.below(kExchange)];
    pthread_mutex_lock(&g_exchange.mutex);
    const Block taken = other;
    other = block;
    block = taken;
    pthread_mutex_unlock(&g_exchange.mutex);
  }

  void release_all() {
    for (Block& block : blocks) release(block, "at the end of a thread");
  }

  Random random;
  Block blocks[kOwn];
};

void use_heap(uint64_t seed, size_t steps) {
  auto* worker = new Worker(seed);
  for (size_t i = 0; i < steps; ++i) {
    Block& block = worker->blocks[worker->random.below(kOwn)];
    if (block.data == nullptr) {
      block = allocate(worker->random, g_next_id.fetch_add(1));
    } else if (worker->random.one_in(3)) {
      STRESS_CHECK(reallocate(worker->random, block, g_next_id.fetch_add(1)));
    } else {
      release(block);
    }
  }
  worker->release_all();
  delete worker;
}

void* use_heap_in_thread(void* seed) {
  use_heap(reinterpret_cast<uintptr_t>(seed), 500);
  return nullptr;
}

// In the child: the blocks of the forking thread and the exchange are ours alone now.
[[noreturn]] void be_child(Worker& worker) {
  alarm(kChildHangSeconds);
  for (const Block& block : worker.blocks) {
    if (block.data != nullptr) block.check("in a child, own");
  }
  for (Block& block : g_exchange.blocks) {
    if (block.data == nullptr) continue;
    block.check("in a child, of the exchange");
    if (worker.random.one_in(2)) release(block, "in a child, freed");
  }
  use_heap(worker.random.next(), 1000);
  if (worker.random.one_in(4)) {
    pthread_t thread;
    STRESS_CHECK(pthread_create(&thread, nullptr, use_heap_in_thread,
                                reinterpret_cast<void*>(worker.random.next())) == 0);
    STRESS_CHECK(pthread_join(thread, nullptr) == 0);
  }
  malloc_trim(0);
  for (const Block& block : g_exchange.blocks) {
    if (block.data != nullptr) block.check("in a child, after its work");
  }
  worker.release_all();
  _exit(0);
}

void fork_and_check(Worker& worker) {
  pthread_mutex_lock(&g_exchange.mutex);
  const pid_t child = fork();
  if (child == 0) be_child(worker);
  pthread_mutex_unlock(&g_exchange.mutex);
  STRESS_CHECK(child > 0);
  g_forks.fetch_add(1);
  int status = 0;
  STRESS_CHECK(waitpid(child, &status, 0) == child);
  if (status == 0) return;
  fprintf(stderr, "child: %s %d\n", WIFSIGNALED(status) ? "signal" : "status",
          WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  STRESS_CHECK(false && "a child failed");
}

void* run_worker(void* seed) {
  Worker worker(reinterpret_cast<uintptr_t>(seed));
  const size_t life = 1 + worker.random.below(worker.random.one_in(4) ? 100 : 40000);
  for (size_t i = 0; i < life && !g_stop.load(std::memory_order_relaxed); ++i) {
    worker.step();
    if (worker.random.one_in(10000)) fork_and_check(worker);
    if (worker.random.one_in(20000)) malloc_trim(worker.random.below(4) * kMiB);
  }
  // Half of the threads leave what they can to the others.
  for (Block& block : worker.blocks) {
    if (block.data != nullptr && worker.random.one_in(2)) worker.hand_over(block);
  }
  worker.release_all();
  return nullptr;
}

// Keeps one thread alive until the end: a new one whenever the last has died.
void* keep_alive(void* seed) {
  Random random(reinterpret_cast<uintptr_t>(seed));
  while (!g_stop.load(std::memory_order_relaxed)) {
    pthread_t thread;
    STRESS_CHECK(
        pthread_create(&thread, nullptr, run_worker, reinterpret_cast<void*>(random.next())) == 0);
    STRESS_CHECK(pthread_join(thread, nullptr) == 0);
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings(argc, argv);
  constexpr size_t kThreadsMax = 64;
  STRESS_CHECK(settings.threads <= kThreadsMax);
  Random random(settings.seed);
  pthread_t threads[kThreadsMax];
  for (size_t i = 0; i < settings.threads; ++i) {
    STRESS_CHECK(pthread_create(&threads[i], nullptr, keep_alive,
                                reinterpret_cast<void*>(random.next())) == 0);
  }
  usleep(static_cast<useconds_t>(settings.seconds * 1e6));
  g_stop.store(true);
  for (size_t i = 0; i < settings.threads; ++i)
    STRESS_CHECK(pthread_join(threads[i], nullptr) == 0);
  for (Block& block : g_exchange.blocks) release(block, "in the exchange, at the end");
  printf("%llu blocks, %llu forks\n", static_cast<unsigned long long>(g_next_id.load() - 1),
         static_cast<unsigned long long>(g_forks.load()));
  return 0;
}
