// Up to 32 KiB: magazines and slabs.
#include "micro.h"

namespace {

using benchmark::internal::Benchmark;

void sizes(Benchmark* bench) {
  for (const int64_t size : {int64_t{16}, int64_t{64}, int64_t{512}, 4 * micro::kKiB}) {
    bench->Arg(size);
  }
  bench->Arg(32 * micro::kKiB)->ThreadRange(1, 2)->UseRealTime();
}

// A thousand blocks: more than a thread's cache holds, so that the way behind it is measured.
void batches(Benchmark* bench) {
  for (const int64_t size : {int64_t{16}, int64_t{64}, int64_t{512}, 4 * micro::kKiB}) {
    bench->Args({size, 1000});
  }
  bench->Args({32 * micro::kKiB, 1000})->ThreadRange(1, 2)->UseRealTime();
}

// Sizes as they come, not one again and again: the branches and tables of the size classes.
void many_sizes(benchmark::State& state) {
  constexpr size_t kSizes = 1024;
  std::vector<size_t> sizes(kSizes);
  uint64_t seed = 42;
  for (size_t& size : sizes) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    size = 16 + (seed >> 33) % 1008;
  }
  size_t next = 0;
  for (auto _ : state) std::free(micro::touched(std::malloc(sizes[next++ % kSizes])));
  state.SetItemsProcessed(state.iterations());
}

void zeroed(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  for (auto _ : state) std::free(micro::touched(std::calloc(1, size)));
  state.SetItemsProcessed(state.iterations());
}

void aligned(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  for (auto _ : state) std::free(micro::touched(std::aligned_alloc(64, size)));
  state.SetItemsProcessed(state.iterations());
}

// A string that is appended to: 16 bytes to 32 KiB by halves, then freed.
void growing(benchmark::State& state) {
  for (auto _ : state) {
    void* block = nullptr;
    for (size_t size = 16; size <= 32 * micro::kKiB; size += size / 2) {
      block = micro::touched(std::realloc(block, size));
    }
    std::free(block);
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(micro::pair)->Name("small/pair")->Apply(sizes);
BENCHMARK(micro::batch_lifo)->Name("small/batch_lifo")->Apply(batches);
BENCHMARK(micro::batch_random)->Name("small/batch_random")->Apply(batches);
BENCHMARK(many_sizes)->Name("small/many_sizes")->ThreadRange(1, 2)->UseRealTime();
BENCHMARK(zeroed)->Name("small/calloc")->Apply(sizes);
BENCHMARK(aligned)->Name("small/aligned_64")->Arg(64)->Arg(512);
BENCHMARK(growing)->Name("small/realloc_growing");

}  // namespace
