// sawtooth_pause: 256 MiB come and go, with a pause in between: the other side of giving back.
//
// --wait is the pause after everything is freed. What goes back in a pause has to be fetched again,
// page by page, by the next cycle; an allocator that has seen a few should know. faults_per_gib are
// the page faults for a GiB that is allocated: first_ before anything can have been learned, mean_
// over the cycles after kLearning, worst_ in the worst of them.
#include <sys/resource.h>

#include <barrier>

#include "giveback.h"

namespace {

constexpr size_t kBytes = size_t{256} << 20;
constexpr uint64_t kWaitMs = 300;
constexpr unsigned kLearning = 4, kCycles = 12;

uint64_t faults_so_far() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_minflt);
}

// The same blocks in each cycle, in a list that stays: what is measured is the allocator's alone.
uint64_t swing(uint64_t seed, size_t bytes, giveback::Blocks& blocks) {
  bench::Random random(seed);
  blocks.clear();
  for (size_t made = 0; made < bytes; made += blocks.back().size) {
    blocks.push_back(bench::allocate(giveback::burst_size(random), random.next()));
  }
  return bench::release_all(blocks);
}

void print_faults(const std::vector<uint64_t>& faults, size_t bytes) {
  const auto per_gib = [bytes](uint64_t count) {
    return static_cast<uint64_t>(static_cast<double>(count) * (1u << 30) /
                                 static_cast<double>(bytes));
  };
  uint64_t sum = 0, worst = 0;
  for (unsigned i = kLearning; i < kCycles; ++i) {
    sum += faults[i];
    worst = std::max(worst, faults[i]);
  }
  std::printf("first_faults_per_gib=%" PRIu64 " mean_faults_per_gib=%" PRIu64
              " worst_faults_per_gib=%" PRIu64 " ",
              per_gib(faults[0]), per_gib(sum / (kCycles - kLearning)), per_gib(worst));
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = giveback::Options::parse(argc, argv, kWaitMs);
  const unsigned threads = options.common.threads;
  const size_t bytes = options.common.share(kBytes);
  std::vector<uint64_t> checksums(threads), faults(kCycles);
  std::vector<giveback::Blocks> blocks(threads);
  uint64_t before = 0;
  unsigned cycle = 0;
  // Runs when everybody has come, before anybody goes on.
  const auto end_of_cycle = [&]() noexcept {
    const uint64_t now = faults_so_far();
    if (cycle < kCycles) faults[cycle++] = now - before;
    giveback::Options::sleep_ms(options.wait_ms);
    before = faults_so_far();
  };
  std::barrier all_freed(threads, end_of_cycle);
  before = faults_so_far();
  bench::sum_over_threads(threads, [&](unsigned i) {
    for (unsigned n = 0; n < kCycles; ++n) {
      checksums[i] += swing(options.common.seed + i, bytes, blocks[i]);
      all_freed.arrive_and_wait();
    }
    return uint64_t{0};
  });
  print_faults(faults, bytes * threads);
  uint64_t checksum = 0, operations = 0;
  for (unsigned i = 0; i < threads; ++i) {
    checksum += checksums[i];
    operations += blocks[i].size() * kCycles;
  }
  return bench::report(checksum, operations);
}
