// A profiling timer interrupts threads inside malloc and free, wherever they are. Its handler
// allocates nothing, but reads every block that its thread has published and writes to them: what
// the allocator does meanwhile must not move, unmap or overwrite a live block.
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include <atomic>

#include "stress.h"

namespace {

using namespace stress;

constexpr size_t kOwn = 256;

// Shared by a thread and its own signal handler, so fences of the compiler order it.
struct Published {
  Block blocks[kOwn];
  volatile bool valid[kOwn] = {};
};

thread_local Published* volatile t_published = nullptr;
std::atomic<bool> g_stop{false};
std::atomic<uint64_t> g_signals{0};
std::atomic<uint64_t> g_seen{0};

void on_timer(int) {
  g_signals.fetch_add(1, std::memory_order_relaxed);
  const Published* published = t_published;
  if (published == nullptr) return;
  for (size_t i = 0; i < kOwn; ++i) {
    if (!published->valid[i]) continue;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const Block& block = published->blocks[i];
    block.check("in a signal handler");
    block.fill();
    g_seen.fetch_add(1, std::memory_order_relaxed);
  }
}

void unpublish(Published& published, size_t i) {
  published.valid[i] = false;
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

void publish(Published& published, size_t i) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  published.valid[i] = true;
}

void* run_worker(void* seed) {
  Random random(reinterpret_cast<uintptr_t>(seed));
  auto* published = new Published;
  t_published = published;
  uint64_t id = random.next();
  while (!g_stop.load(std::memory_order_relaxed)) {
    const size_t i = random.below(kOwn);
    Block& block = published->blocks[i];
    unpublish(*published, i);
    if (block.data == nullptr) {
      block = allocate(random, ++id);
      STRESS_CHECK(block.data != nullptr);
    } else if (random.one_in(4)) {
      STRESS_CHECK(reallocate(random, block, ++id));
    } else {
      release(block);
    }
    if (block.data != nullptr) publish(*published, i);
  }
  t_published = nullptr;
  for (Block& block : published->blocks) release(block, "at the end");
  delete published;
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings(argc, argv);
  struct sigaction action {};
  action.sa_handler = on_timer;
  action.sa_flags = SA_RESTART;
  STRESS_CHECK(sigaction(SIGPROF, &action, nullptr) == 0);
  const itimerval timer{{0, 1000}, {0, 1000}};
  STRESS_CHECK(setitimer(ITIMER_PROF, &timer, nullptr) == 0);
  Random random(settings.seed);
  const double end = now_seconds() + settings.seconds;
  do {
    constexpr size_t kThreadsMax = 64;
    STRESS_CHECK(settings.threads <= kThreadsMax);
    pthread_t threads[kThreadsMax];
    g_stop.store(false);
    for (size_t i = 0; i < settings.threads; ++i) {
      STRESS_CHECK(pthread_create(&threads[i], nullptr, run_worker,
                                  reinterpret_cast<void*>(random.next())) == 0);
    }
    const double stop = now_seconds() + 0.5;
    while (now_seconds() < stop) usleep(10000);
    g_stop.store(true);
    for (size_t i = 0; i < settings.threads; ++i) {
      STRESS_CHECK(pthread_join(threads[i], nullptr) == 0);
    }
  } while (now_seconds() < end);
  printf("%llu signals, %llu live blocks seen in them\n",
         static_cast<unsigned long long>(g_signals.load()),
         static_cast<unsigned long long>(g_seen.load()));
  return g_seen.load() > 0 ? 0 : 1;
}
