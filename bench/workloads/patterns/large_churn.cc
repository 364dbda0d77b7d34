// large_churn: large objects with random lifetimes, 200 MiB of them alive, every page written.
//
// 128 KiB to 8 MiB, every doubling as likely as the next: the sizes at which malloc(3) of many
// systems turns to mmap (Kuszmaul, "SuperMalloc", ISMM 2015, measures how page faults rule there).
// The threads share the work, and the memory that is alive.
#include "workload.h"

namespace {

constexpr uint64_t kSteps = 10'000;
constexpr size_t kSlots = 104;

size_t object_size(bench::Random& random) {
  const size_t base = size_t{128 << 10} << random.below(6);
  return base + random.below(base);
}

uint64_t churn(uint64_t seed, uint64_t steps, size_t slots) {
  bench::Random random(seed);
  std::vector<bench::Block> table(slots);
  uint64_t checksum = 0;
  for (uint64_t step = 0; step < steps; ++step) {
    bench::Block& slot = table[random.below(slots)];
    checksum += bench::release(slot);
    slot = bench::allocate(object_size(random), random.next(), bench::kPageBytes);
  }
  return checksum + bench::release_all(table);
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  const uint64_t steps = options.share(kSteps);
  const size_t slots = bench::part(kSlots, options.threads);
  const uint64_t checksum = bench::sum_over_threads(
      options.threads, [&](unsigned i) { return churn(options.seed + i, steps, slots); });
  return bench::report(checksum, options.threads * steps);
}
