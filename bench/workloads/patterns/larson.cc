// larson: a server whose threads pass their work on (Larson & Krishnan, "Memory Allocation for
// Long-Running Server Applications", ISMM 1998).
//
// Every thread holds slots of small blocks and replaces random ones. After a while it hands its
// slots to a fresh thread and dies: a good part of what a thread frees was made by its ancestors,
// and the first generation's blocks were all made by the main thread, in another order.
#include <latch>
#include <utility>

#include "workload.h"

namespace {

constexpr size_t kSlotsPerThread = 1000;
constexpr uint64_t kLives = 600;
constexpr uint64_t kReplacementsPerLife = 50'000;
constexpr size_t kBytesMin = 16, kBytesMax = 500;

struct alignas(bench::kLineBytes) Line {
  explicit Line(uint64_t seed) : random(seed) {}

  bench::Random random;
  std::vector<bench::Block> slots{kSlotsPerThread};
  uint64_t lives_left = 0;
  uint64_t checksum = 0;
};

void live(Line& line, std::latch& done) {
  for (uint64_t i = 0; i < kReplacementsPerLife; ++i) {
    bench::Block& slot = line.slots[line.random.below(kSlotsPerThread)];
    line.checksum += bench::release(slot);
    slot = bench::allocate(line.random.between(kBytesMin, kBytesMax), i);
  }
  if (--line.lives_left > 0) {
    std::thread(live, std::ref(line), std::ref(done)).detach();
  } else {
    done.count_down();
  }
}

// One block after the other, and then any two change places, across all threads.
void fill_and_shuffle(std::vector<Line>& lines, uint64_t seed) {
  bench::Random random(seed);
  for (Line& line : lines) {
    for (bench::Block& slot : line.slots) {
      slot = bench::allocate(random.between(kBytesMin, kBytesMax), random.next());
    }
  }
  for (Line& line : lines) {
    for (bench::Block& slot : line.slots) {
      Line& other = lines[random.below(lines.size())];
      std::swap(slot, other.slots[random.below(kSlotsPerThread)]);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  const uint64_t lives = options.share(kLives);
  std::latch done(options.threads);
  std::vector<Line> lines;
  for (unsigned i = 0; i < options.threads; ++i) lines.emplace_back(options.seed + i);
  fill_and_shuffle(lines, options.seed + options.threads);
  for (Line& line : lines) {
    line.lives_left = lives;
    std::thread(live, std::ref(line), std::ref(done)).detach();
  }
  done.wait();
  uint64_t checksum = 0;
  for (Line& line : lines) checksum += line.checksum + bench::release_all(line.slots);
  return bench::report(checksum, options.threads * lives * kReplacementsPerLife);
}
