// smartheap: small blocks in batches, freed partly in the order in which they were made, partly in
// the opposite one (after the benchmarks that MicroQuill wrote for its SmartHeap, 1990s).
//
//   smartheap sh6   each thread has a table of its own
//   smartheap sh8   all share one, a larger one: a batch is freed by whoever needs its place
//
// The blocks of a batch have about the same size. A batch is freed at once, half at once and half
// later, or later: when the table's place where it lies is needed again.
#include <deque>
#include <mutex>

#include "workload.h"

namespace {

constexpr uint64_t kBatches = 160'000;
constexpr size_t kOwnPlaces = 128, kSharedPlaces = 1024;

using Batch = std::vector<bench::Block>;

// Three of four are 16 to 128 B, the rest reaches to 1000.
Batch make_batch(bench::Random& random) {
  const size_t low = random.below(4) != 0 ? random.between(16, 96) : random.between(97, 936);
  Batch batch(random.between(20, 180));
  for (bench::Block& block : batch) {
    block = bench::allocate(random.between(low, low + 64), random.next());
  }
  return batch;
}

uint64_t free_last_in_first(Batch& batch, size_t down_to) {
  uint64_t checksum = 0;
  while (batch.size() > down_to) {
    checksum += bench::release(batch.back());
    batch.pop_back();
  }
  return checksum;
}

uint64_t free_batch(Batch& batch, bool last_in_first) {
  const uint64_t checksum =
      last_in_first ? free_last_in_first(batch, 0) : bench::release_all(batch);
  batch.clear();
  return checksum;
}

// Places for batches that live longer. Shared or not, the price of a lock is the same.
class alignas(bench::kLineBytes) Table {
 public:
  explicit Table(size_t places) : places_(places) {}

  // Returns what lay there.
  Batch put(uint64_t number, Batch batch) {
    const std::lock_guard lock(mutex_);
    std::swap(batch, places_[number % places_.size()]);
    return batch;
  }

  uint64_t clear() {
    uint64_t checksum = 0;
    for (Batch& batch : places_) checksum += free_batch(batch, false);
    return checksum;
  }

 private:
  std::mutex mutex_;
  std::vector<Batch> places_;
};

uint64_t work(Table& table, uint64_t seed, uint64_t batches) {
  bench::Random random(seed);
  uint64_t checksum = 0;
  for (uint64_t i = 0; i < batches; ++i) {
    Batch batch = make_batch(random);
    const uint64_t fate = random.below(6);
    if (fate < 2) {
      checksum += free_batch(batch, fate == 0);
      continue;
    }
    if (fate == 2) checksum += free_last_in_first(batch, batch.size() / 2);
    Batch older = table.put(random.next(), std::move(batch));
    checksum += free_batch(older, fate == 3);
  }
  return checksum;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  const bool shared = std::strcmp(options.mode, "sh8") == 0;
  if (!shared && std::strcmp(options.mode, "sh6") != 0) bench::fail("which mode: sh6 or sh8?");
  const uint64_t batches = options.share(kBatches);
  std::deque<Table> tables;
  if (shared) tables.emplace_back(kSharedPlaces);
  while (!shared && tables.size() < options.threads) tables.emplace_back(kOwnPlaces);
  uint64_t checksum = bench::sum_over_threads(options.threads, [&](unsigned i) {
    return work(tables[i % tables.size()], options.seed + i, batches);
  });
  for (Table& table : tables) checksum += table.clear();
  return bench::report(checksum, options.threads * batches);
}
