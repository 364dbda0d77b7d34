// leftover: what phases leave behind (after mleak of Leijen's mimalloc-bench, and the survivors
// that Johnstone & Wilson, "The Memory Fragmentation Problem: Solved?", ISMM 1998, look at).
//
// Every phase asks for sizes of its own, replaces random blocks for a while and ends; one to five
// of a hundred blocks stay for good. rss_kib is the memory in use when only they are left, live_kib
// what they sum up to.
#include "workload.h"

namespace {

constexpr size_t kPhaseBytes = 16 << 20;
constexpr unsigned kRounds = 4;

// Sizes of a phase, and how many of a thousand blocks it leaves.
struct Phase {
  size_t low, high, leftover_per_mille;
};
constexpr Phase kPhases[] = {
    {16, 64, 10},    {40, 400, 30},  {1 << 10, 4 << 10, 20},  {100, 140, 50},
    {16, 2048, 20},  {600, 900, 40}, {6 << 10, 40 << 10, 10}, {24, 24, 30},
    {200, 3000, 25}, {48, 96, 15},
};

uint64_t run_phase(bench::Random& random, const Phase& phase, size_t bytes,
                   std::vector<bench::Block>& leftover) {
  const size_t count = bytes / ((phase.low + phase.high) / 2) + 1;
  std::vector<bench::Block> blocks(count);
  const auto make = [&] {
    return bench::allocate(random.between(phase.low, phase.high), random.next());
  };
  uint64_t checksum = 0;
  for (bench::Block& block : blocks) block = make();
  for (size_t i = 0; i < count; ++i) {
    bench::Block& block = blocks[random.below(count)];
    checksum += bench::release(block);
    block = make();
  }
  for (bench::Block& block : blocks) {
    if (random.below(1000) < phase.leftover_per_mille) {
      leftover.push_back(block);
    } else {
      checksum += bench::release(block);
    }
  }
  return checksum;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  const size_t bytes = options.scaled(kPhaseBytes);
  bench::Random random(options.seed);
  std::vector<bench::Block> leftover;
  uint64_t checksum = 0, operations = 0;
  for (unsigned round = 0; round < kRounds; ++round) {
    for (const Phase& phase : kPhases) {
      checksum += run_phase(random, phase, bytes, leftover);
      operations += bytes / ((phase.low + phase.high) / 2) * 2;
    }
  }
  size_t live_bytes = 0;
  for (const bench::Block& block : leftover) live_bytes += block.size;
  std::printf("rss_kib=%zu live_kib=%zu ", bench::resident_kib(), live_bytes / 1024);
  return bench::report(checksum + bench::release_all(leftover), operations);
}
