// Over 1 MiB: extents of their own. Most of the time here belongs to the system: mapping, faults.
#include "micro.h"

namespace {

using benchmark::internal::Benchmark;

void sizes(Benchmark* bench) {
  bench->Arg(2 * micro::kMiB)->Arg(16 * micro::kMiB)->ThreadRange(1, 2)->UseRealTime();
}

void batches(Benchmark* bench) {
  bench->Args({2 * micro::kMiB, 32})->Args({16 * micro::kMiB, 8});
  bench->ThreadRange(1, 2)->UseRealTime();
}

void zeroed_written(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    void* block = micro::touched(std::calloc(1, size));
    micro::touch_pages(block, size);
    std::free(block);
  }
  state.SetItemsProcessed(state.iterations());
}

// A buffer that is appended to: 1 MiB to `range(0)` by an eighth, what is new written, then freed.
void growing(benchmark::State& state) {
  const auto last = static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    char* block = nullptr;
    size_t written = 0;
    for (size_t size = micro::kMiB; size <= last; size += size / 8) {
      block = static_cast<char*>(micro::touched(std::realloc(block, size)));
      micro::touch_pages(block + written, size - written);
      written = size;
    }
    std::free(block);
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(micro::pair)->Name("large/pair")->Apply(sizes);
BENCHMARK(micro::pair_written)->Name("large/pair_written")->Apply(sizes);
BENCHMARK(micro::batch_lifo)->Name("large/batch_lifo")->Apply(batches);
BENCHMARK(micro::batch_random)->Name("large/batch_random")->Apply(batches);
BENCHMARK(zeroed_written)->Name("large/calloc_written")->Apply(sizes);
BENCHMARK(growing)->Name("large/realloc_growing")->Arg(16 * micro::kMiB)->UseRealTime();

}  // namespace
