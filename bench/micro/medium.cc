// 64 KiB to 1 MiB: buddy blocks.
#include "micro.h"

namespace {

using benchmark::internal::Benchmark;

void sizes(Benchmark* bench) {
  bench->Arg(64 * micro::kKiB)->Arg(256 * micro::kKiB)->Arg(micro::kMiB);
  bench->ThreadRange(1, 2)->UseRealTime();
}

// 64 MiB at once at most.
void batches(Benchmark* bench) {
  bench->Args({64 * micro::kKiB, 1000})->Args({256 * micro::kKiB, 250})->Args({micro::kMiB, 64});
  bench->ThreadRange(1, 2)->UseRealTime();
}

void zeroed(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  for (auto _ : state) std::free(micro::touched(std::calloc(1, size)));
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(micro::pair)->Name("medium/pair")->Apply(sizes);
BENCHMARK(micro::pair_written)->Name("medium/pair_written")->Apply(sizes);
BENCHMARK(micro::batch_lifo)->Name("medium/batch_lifo")->Apply(batches);
BENCHMARK(micro::batch_random)->Name("medium/batch_random")->Apply(batches);
BENCHMARK(zeroed)->Name("medium/calloc")->Apply(sizes);

}  // namespace
