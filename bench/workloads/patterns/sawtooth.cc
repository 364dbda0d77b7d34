// sawtooth: a heap that swings between 16 MiB and 256 MiB without a pause.
//
// Many programs work in phases, and an allocator that gives memory back at every low has to fetch
// it again at every high (the ramps and peaks of Wilson, Johnstone, Neely & Boles, "Dynamic Storage
// Allocation: A Survey and Critical Review", IWMM 1995). Blocks come and go in runs of about one
// size; the runs that are freed are random ones, so that the low of one swing is made of what each
// of the earlier ones left.
#include "workload.h"

namespace {

constexpr size_t kLowBytes = 16 << 20, kHighBytes = 256 << 20;
constexpr unsigned kSwings = 20;

using Run = std::vector<bench::Block>;

struct Heap {
  std::vector<Run> runs;
  size_t bytes = 0;
  uint64_t blocks_made = 0;
  uint64_t checksum = 0;
};

void add_run(Heap& heap, bench::Random& random) {
  // Nine of ten runs are small blocks; the tenth holds as many bytes as two or three of them.
  const bool small = random.below(10) != 0;
  const size_t low = small ? random.between(16, 900) : random.between(4 << 10, 100 << 10);
  Run run(small ? random.between(20, 400) : random.between(1, 8));
  for (bench::Block& block : run) {
    block = bench::allocate(random.between(low, low + low / 8), random.next());
    heap.bytes += block.size;
  }
  heap.blocks_made += run.size();
  heap.runs.push_back(std::move(run));
}

void free_any_run(Heap& heap, bench::Random& random) {
  std::swap(heap.runs[random.below(heap.runs.size())], heap.runs.back());
  for (const bench::Block& block : heap.runs.back()) heap.bytes -= block.size;
  heap.checksum += bench::release_all(heap.runs.back());
  heap.runs.pop_back();
}

Heap swing(uint64_t seed, size_t low_bytes, size_t high_bytes) {
  bench::Random random(seed);
  Heap heap;
  for (unsigned i = 0; i < kSwings; ++i) {
    while (heap.bytes < high_bytes) add_run(heap, random);
    while (heap.bytes > low_bytes) free_any_run(heap, random);
  }
  while (!heap.runs.empty()) free_any_run(heap, random);
  return heap;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  std::vector<uint64_t> blocks_made(options.threads);
  const uint64_t checksum = bench::sum_over_threads(options.threads, [&](unsigned i) {
    const Heap heap = swing(options.seed + i, options.share(kLowBytes), options.share(kHighBytes));
    blocks_made[i] = heap.blocks_made;
    return heap.checksum;
  });
  uint64_t operations = 0;
  for (const uint64_t made : blocks_made) operations += made;
  return bench::report(checksum, operations);
}
