// cache: false sharing, which an allocator brings about where it gives two threads blocks of one
// cache line (cache-thrash and cache-scratch of Berger, McKinley, Blumofe & Wilson, "Hoard: A
// Scalable Memory Allocator for Multithreaded Applications", ASPLOS 2000).
//
//   cache thrash    active: each thread allocates small objects and writes to them many times
//   cache scratch   passive: the main thread first gives each an object of one and the same line,
//                   which it frees; an allocator that hands it out again to that thread has lost
//
// A time at several threads well above that at one thread, on as many CPUs, is the sign.
#include <latch>

#include "workload.h"

namespace {

constexpr unsigned kRounds = 4;
constexpr uint64_t kObjectsPerRound = 8'000;
constexpr uint64_t kWritesPerObject = 50'000;

uint64_t* make_counter() {
  void* const memory = std::malloc(sizeof(uint64_t));
  if (memory == nullptr) bench::fail("out of memory");
  return static_cast<uint64_t*>(std::memset(memory, 0, sizeof(uint64_t)));
}

// Counts in memory: volatile, so that no write is left out. What was written is not read before the
// next write: how fast that goes depends on more than on who else has the line.
uint64_t count_up(uint64_t start) {
  uint64_t* const counter = make_counter();
  *counter = start;
  volatile uint64_t* const watched = counter;
  for (uint64_t i = 1; i <= kWritesPerObject; ++i) *watched = start + i;
  const uint64_t result = *watched;
  if (result != start + kWritesPerObject) bench::fail("contents of a block were changed");
  std::free(counter);
  return result;
}

uint64_t run_round(unsigned threads, uint64_t objects, bool hand_out) {
  std::vector<uint64_t*> handed(threads);
  if (hand_out) {
    for (uint64_t*& counter : handed) counter = make_counter();
  }
  std::latch all_here(threads);
  return bench::sum_over_threads(threads, [&](unsigned i) {
    all_here.arrive_and_wait();
    std::free(handed[i]);
    uint64_t checksum = 0;
    for (uint64_t object = 0; object < objects; ++object) checksum += count_up(object * i);
    return checksum;
  });
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  const bool scratch = std::strcmp(options.mode, "scratch") == 0;
  if (!scratch && std::strcmp(options.mode, "thrash") != 0) {
    bench::fail("which mode: scratch or thrash?");
  }
  const uint64_t objects = options.share(kObjectsPerRound);
  uint64_t checksum = 0;
  for (unsigned round = 0; round < kRounds; ++round) {
    checksum += run_round(options.threads, objects, scratch);
  }
  return bench::report(checksum, kRounds * options.threads * objects * kWritesPerObject);
}
