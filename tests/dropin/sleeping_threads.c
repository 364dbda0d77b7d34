// What threads that sleep keep in their magazines: together no more than the bound of the process
// and a floor for each; and one that wakes now and then gives back what it does not use any more.
//
//   bound   64 threads, each of which has used many classes, sleep while the process ends: the
//           statistics tell what lies in magazines
//   wakes   one thread fills magazines, then only ever uses another class
//
// A broken allocator lets each thread hoard what one thread may.
#include <malloc.h>

#include "dropin.h"
#include "stats_report.h"

// As in lib/magazine/capacity_pool.h.
enum { kThreads = 64, kLeastBound = 16 * kMiB, kBoundDivisor = 50, kFloor = 16 * kKiB };
enum { kSizes = 40, kBlocks = 1200, kWakesMax = 80, kOther = 24 * kKiB };

static pthread_barrier_t g_barrier;

static size_t size_at(size_t index) { return index < 8 ? 16 * (index + 1) : 100 * index - 600; }

static void use_size(size_t size, unsigned tag) {
  void* blocks[kBlocks];
  for (unsigned i = 0; i < kBlocks; ++i) blocks[i] = filled(size, tag + i);
  for (unsigned i = 0; i < kBlocks; ++i) check_and_free(blocks[i], size, tag + i);
}

static void* use_sizes_and_sleep(void* arg) {
  for (size_t i = 0; i < kSizes; ++i) use_size(size_at(i), (unsigned)(uintptr_t)arg);
  pthread_barrier_wait(&g_barrier);
  for (;;) pause();
  return arg;
}

static void end_while_they_sleep(void) {
  EXPECT(pthread_barrier_init(&g_barrier, NULL, kThreads + 1) == 0);
  for (uintptr_t i = 0; i < kThreads; ++i) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, use_sizes_and_sleep, (void*)(i * 7919)) == 0);
  }
  pthread_barrier_wait(&g_barrier);
  exit(0);
}

static void see_the_bound(void) {
  const char* report = report_of_self((const char* const[]){"inside", NULL});
  const long cached_bytes = number_in(report, "magazine", "cached_bytes");
  const long threads = number_in(report, "magazine", "threads");
  const long part = number_in(report, "slab", "mapped_bytes") / kBoundDivisor;
  EXPECT(threads >= kThreads);
  EXPECT(cached_bytes > kMiB);
  EXPECT(cached_bytes <= (part > kLeastBound ? part : kLeastBound) + threads * kFloor);
}

// Three blocks at a time: a magazine of these holds two, so there is something to be done.
static void use_another_class(void) {
  void* blocks[3];
  for (unsigned i = 0; i < 3; ++i) blocks[i] = filled(kOther, i);
  for (unsigned i = 0; i < 3; ++i) check_and_free(blocks[i], kOther, i);
}

static void* fill_then_use_another(void* arg) {
  for (size_t i = 0; i < kSizes / 2; ++i) use_size(size_at(i), 1);
  const size_t before = mallinfo2().fsmblks;
  EXPECT(before > 100 * kKiB);
  // What wakes so rarely is told by the clock, long before it is by the count of its misses. Two
  // blocks of the other class stay.
  int wakes = 0;
  for (; wakes < kWakesMax && mallinfo2().fsmblks > before / 4 + 2 * kOther; ++wakes) {
    usleep(200000);
    use_another_class();
  }
  EXPECT(wakes < kWakesMax);
  return arg;
}

int main(int argc, char** argv) {
  EXPECT(argc == 2);
  if (strcmp(argv[1], "inside") == 0) {
    expect_same_allocator();
    end_while_they_sleep();
  }
  if (strcmp(argv[1], "wakes") == 0) {
    run_threads(1, fill_then_use_another);
  } else {
    see_the_bound();
  }
  return 0;
}
