// mixed: sizes as real programs ask for them, random lifetimes; --threads=N, nothing shared.
//
// Seven of eight blocks are young: they are replaced soon. The eighth goes into a large table,
// where it lives long and keeps its surroundings from being empty.
#include "workload.h"

namespace {

constexpr size_t kYoungBlocks = 512;
constexpr size_t kOldBlocks = 48'000;
constexpr uint64_t kStepsPerThread = 6'000'000;

uint64_t churn(uint64_t seed, uint64_t steps, size_t old_blocks) {
  bench::Random random(seed);
  std::vector<bench::Block> young(kYoungBlocks), old(old_blocks);
  uint64_t checksum = 0;
  for (uint64_t step = 0; step < steps; ++step) {
    std::vector<bench::Block>& table = random.below(8) == 0 ? old : young;
    bench::Block& slot = table[random.below(table.size())];
    checksum += bench::release(slot);
    slot = bench::allocate(bench::mixed_size(random), step);
  }
  return checksum + bench::release_all(young) + bench::release_all(old);
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  const uint64_t steps = options.scaled(kStepsPerThread);
  const uint64_t checksum = bench::sum_over_threads(options.threads, [&](unsigned i) {
    return churn(options.seed + i, steps, options.scaled(kOldBlocks));
  });
  return bench::report(checksum, steps * options.threads);
}
