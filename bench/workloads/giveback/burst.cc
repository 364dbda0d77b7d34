// burst: 2 GiB come, 95 % of them are freed, and the process is idle.
//
//   burst runs      runs of 4000 blocks are freed and kept: most pages are either empty or full
//   burst random    blocks are freed at random: most pages keep a block, many of a slab none
//
// live_kib is what the pages take that still hold something; an allocator that gave back every
// other page would stand at that, and a little for its records. freed_kib is resident when the last
// block is freed, rss_kib after the wait.
#include "giveback.h"

namespace {

constexpr size_t kBytes = size_t{2} << 30;
constexpr uint64_t kWaitMs = 10000;
constexpr size_t kRunBlocks = 4000;
// One in twenty is kept.
constexpr size_t kKeptOneIn = 20;

struct Left {
  giveback::Blocks kept;
  uint64_t checksum = 0;
  uint64_t operations = 0;
};

Left burst(uint64_t seed, size_t bytes, bool in_runs, std::latch& all_full) {
  bench::Random random(seed);
  giveback::Blocks blocks = giveback::make_burst(random, bytes);
  all_full.arrive_and_wait();
  Left left;
  left.operations = blocks.size();
  for (size_t i = 0; i < blocks.size(); ++i) {
    const bool keeps = in_runs ? i / kRunBlocks % kKeptOneIn == 0 : random.below(kKeptOneIn) == 0;
    if (keeps) {
      left.kept.push_back(blocks[i]);
    } else {
      left.checksum += bench::release(blocks[i]);
    }
  }
  return left;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = giveback::Options::parse(argc, argv, kWaitMs);
  const unsigned threads = options.common.threads;
  const bool in_runs = std::strcmp(options.common.mode, "runs") == 0;
  if (!in_runs && std::strcmp(options.common.mode, "random") != 0) {
    bench::fail("which mode: runs or random?");
  }
  std::latch all_full(threads);
  std::vector<giveback::Blocks> kept(threads);
  std::vector<uint64_t> checksums(threads), operations(threads);
  giveback::with_idle_threads(
      threads,
      [&](unsigned i) {
        Left left = burst(options.common.seed + i, options.common.share(kBytes), in_runs, all_full);
        kept[i] = std::move(left.kept);
        checksums[i] = left.checksum;
        operations[i] = left.operations;
      },
      [&] {
        const size_t freed_kib = bench::resident_kib();
        const size_t live_kib = giveback::pages_kib(kept);
        const size_t rss_kib = options.wait(live_kib);
        std::printf("live_kib=%zu freed_kib=%zu rss_kib=%zu ", live_kib, freed_kib, rss_kib);
      });
  uint64_t checksum = 0, sum = 0;
  for (unsigned i = 0; i < threads; ++i) {
    checksum += checksums[i] + bench::release_all(kept[i]);
    sum += operations[i];
  }
  return bench::report(checksum, sum);
}
