// thread_pairs: each thread frees and allocates at a random place of its own table, nothing else
// (the idea of glibc's benchtests/bench-malloc-thread.c).
//
// Sizes from 4 B to 32 KiB, a size's likelihood falling with its square: half of them are below
// 8 B, one of a thousand is above 4 KiB. The blocks are hardly touched: what is measured is malloc
// and free, and how threads fare side by side.
#include "workload.h"

namespace {

constexpr size_t kSlots = 1024;
constexpr size_t kDrawnSizes = 1 << 16;
constexpr double kBytesMin = 4, kBytesMax = 32 << 10;
constexpr uint64_t kPairs = 50'000'000;

// Sizes drawn beforehand, so that no division is measured. The inverse of the distribution function
// of 1 / size^2 is exact enough in any IEEE arithmetic to give the same sizes everywhere.
std::vector<uint16_t> draw_sizes(uint64_t seed) {
  bench::Random random(seed);
  std::vector<uint16_t> sizes(kDrawnSizes);
  for (uint16_t& size : sizes) {
    const double share = static_cast<double>(random.below(1 << 20)) / (1 << 20);
    size = static_cast<uint16_t>(1 / (1 / kBytesMin - share * (1 / kBytesMin - 1 / kBytesMax)));
  }
  return sizes;
}

// Blocks may be too small for the stamps of workload.h: the first and the last byte are marked.
struct Slot {
  unsigned char* data = nullptr;
  size_t size = 0;
  unsigned char mark = 0;
};

uint64_t release(Slot& slot) {
  if (slot.data == nullptr) return 0;
  if (slot.data[0] != slot.mark || slot.data[slot.size - 1] != slot.mark) {
    bench::fail("contents of a block were changed");
  }
  std::free(slot.data);
  return slot.size ^ slot.mark;
}

uint64_t run(const std::vector<uint16_t>& sizes, uint64_t seed, uint64_t pairs) {
  bench::Random random(seed);
  std::vector<Slot> slots(kSlots);
  uint64_t checksum = 0;
  for (uint64_t i = 0; i < pairs; ++i) {
    const uint64_t drawn = random.next();
    Slot& slot = slots[drawn % kSlots];
    checksum += release(slot);
    slot.size = sizes[(drawn >> 16) % kDrawnSizes];
    slot.mark = static_cast<unsigned char>(drawn >> 40);
    slot.data = static_cast<unsigned char*>(std::malloc(slot.size));
    if (slot.data == nullptr) bench::fail("out of memory");
    slot.data[0] = slot.data[slot.size - 1] = slot.mark;
  }
  for (Slot& slot : slots) checksum += release(slot);
  return checksum;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  const uint64_t pairs = options.share(kPairs);
  const std::vector<uint16_t> sizes = draw_sizes(options.seed);
  const uint64_t checksum = bench::sum_over_threads(
      options.threads, [&](unsigned i) { return run(sizes, options.seed + 1 + i, pairs); });
  return bench::report(checksum, options.threads * pairs);
}
