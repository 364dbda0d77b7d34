// fragment: fills memory with one range of sizes, frees all but every 16th block, goes on with the
// next range. The survivors pin their surroundings; how much of the space between them serves the
// next sizes, or goes back to the system, is what the peak shows.
#include "workload.h"

namespace {

constexpr size_t kFillBytes = 48 << 20;
constexpr size_t kSurvivor = 16;
constexpr unsigned kTurns = 3;

struct Range {
  size_t low, high;
};
constexpr Range kRanges[] = {{32, 128}, {160, 512}, {48, 1024}, {2048, 8192}, {24, 72}};

uint64_t fill_and_thin(bench::Random& random, Range range, size_t bytes,
                       std::vector<bench::Block>& survivors, uint64_t* operations) {
  std::vector<bench::Block> blocks;
  uint64_t checksum = 0;
  for (size_t filled = 0; filled < bytes;) {
    blocks.push_back(bench::allocate(random.between(range.low, range.high), filled));
    filled += blocks.back().size;
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i % kSurvivor == 0) {
      survivors.push_back(blocks[i]);
    } else {
      checksum += bench::release(blocks[i]);
    }
  }
  *operations += blocks.size();
  return checksum;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  bench::Random random(options.seed);
  uint64_t checksum = 0, operations = 0;
  for (unsigned turn = 0; turn < kTurns; ++turn) {
    std::vector<bench::Block> survivors;
    for (const Range& range : kRanges) {
      checksum += fill_and_thin(random, range, options.scaled(kFillBytes), survivors, &operations);
    }
    if (turn == 0) std::printf("thinned_rss_kib=%zu ", bench::resident_kib());
    checksum += bench::release_all(survivors);
    if (turn == 0) std::printf("freed_rss_kib=%zu ", bench::resident_kib());
  }
  return bench::report(checksum, operations);
}
