// threadchurn: a server whose threads die. Each serves for a while, starts its successor, hands
// over the table of live blocks and ends; so most blocks are freed by a thread that did not make
// them, often after their maker's death, and every thread begins with nothing cached.
#include <latch>

#include "workload.h"

namespace {

constexpr size_t kTableBlocks = 5'000;
constexpr uint64_t kGenerations = 1'200;
constexpr uint64_t kRequestsPerThread = 2'000;

struct Chain {
  explicit Chain(uint64_t seed) : random(seed) {}

  bench::Random random;
  std::vector<bench::Block> table{kTableBlocks};
  uint64_t generations_left = 0;
  uint64_t checksum = 0;
};

void serve(Chain& chain, std::latch& done) {
  for (uint64_t i = 0; i < kRequestsPerThread; ++i) {
    bench::Block& slot = chain.table[chain.random.below(kTableBlocks)];
    chain.checksum += bench::release(slot);
    slot = bench::allocate(bench::mixed_size(chain.random), i);
  }
  if (--chain.generations_left > 0) {
    std::thread(serve, std::ref(chain), std::ref(done)).detach();
  } else {
    done.count_down();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  const uint64_t generations = options.scaled(kGenerations);
  std::latch done(options.threads);
  std::vector<Chain> chains;
  for (unsigned i = 0; i < options.threads; ++i) chains.emplace_back(options.seed + i);
  for (Chain& chain : chains) {
    chain.generations_left = generations;
    std::thread(serve, std::ref(chain), std::ref(done)).detach();
  }
  done.wait();
  uint64_t checksum = 0;
  for (Chain& chain : chains) checksum += chain.checksum + bench::release_all(chain.table);
  return bench::report(checksum, options.threads * generations * kRequestsPerThread);
}
