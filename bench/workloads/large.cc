// large: big blocks, where page faults and system calls cost more than the search for memory.
//
//   large grow     buffers that grow by an eighth through realloc, several side by side
//   large huge     1 MiB to 64 MiB come and go, every page written
//   large medium   64 KiB to 1 MiB come and go, every page written
#include <algorithm>

#include "workload.h"

namespace {

// Sizes whose logarithm is evenly spread: as many from 1 to 2 MiB as from 32 to 64.
size_t spread_size(bench::Random& random, unsigned low_bits, unsigned high_bits) {
  const size_t base = size_t{1} << random.between(low_bits, high_bits - 1);
  return base + random.below(base);
}

uint64_t churn(const bench::Options& options, size_t slots, uint64_t steps, unsigned low_bits,
               unsigned high_bits) {
  bench::Random random(options.seed);
  std::vector<bench::Block> table(slots);
  uint64_t checksum = 0;
  for (uint64_t step = 0; step < steps; ++step) {
    bench::Block& slot = table[random.below(slots)];
    checksum += bench::release(slot);
    slot = bench::allocate(spread_size(random, low_bits, high_bits), step, bench::kPageBytes);
  }
  return checksum + bench::release_all(table);
}

// Appends to the block, growing it by an eighth, as containers over realloc do.
void grow(bench::Block& block) {
  const size_t old_size = block.size;
  block.size += std::max<size_t>(block.size / 8, 4096);
  block.data = static_cast<char*>(std::realloc(block.data, block.size));
  if (block.data == nullptr) bench::fail("out of memory");
  for (size_t at = old_size; at < block.size; at += bench::kLineBytes) block.data[at] = 1;
  bench::put_stamp(block.data + block.size - sizeof block.stamp, block.stamp);
}

uint64_t growth(const bench::Options& options, uint64_t steps) {
  constexpr size_t kBuffers = 8;
  constexpr size_t kFullBytes = 12 << 20;
  bench::Random random(options.seed);
  std::vector<bench::Block> buffers(kBuffers);
  uint64_t checksum = 0;
  for (uint64_t step = 0; step < steps; ++step) {
    bench::Block& buffer = buffers[random.below(kBuffers)];
    if (buffer.size > kFullBytes) checksum += bench::release(buffer);
    if (buffer.data == nullptr) buffer = bench::allocate(random.between(1000, 9000), step);
    grow(buffer);
  }
  return checksum + bench::release_all(buffers);
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  const auto mode_is = [&](const char* name) { return std::strcmp(options.mode, name) == 0; };
  if (mode_is("grow")) {
    const uint64_t steps = options.scaled(6'000);
    return bench::report(growth(options, steps), steps);
  }
  if (mode_is("huge")) {
    const uint64_t steps = options.scaled(300);
    return bench::report(churn(options, 12, steps, 20, 26), steps);
  }
  if (mode_is("medium")) {
    const uint64_t steps = options.scaled(200'000);
    return bench::report(churn(options, 200, steps, 16, 20), steps);
  }
  bench::fail("which mode: grow, huge or medium?");
}
