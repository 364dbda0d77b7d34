// The patterns that every tier is measured with.
#include <algorithm>
#include <random>

#include "micro.h"

namespace micro {

void pair(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  for (auto _ : state) std::free(touched(std::malloc(size)));
  state.SetItemsProcessed(state.iterations());
}

void pair_written(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    void* block = touched(std::malloc(size));
    touch_pages(block, size);
    std::free(block);
  }
  state.SetItemsProcessed(state.iterations());
}

namespace {

void batch(benchmark::State& state, const std::vector<size_t>& free_order) {
  const auto size = static_cast<size_t>(state.range(0));
  std::vector<void*> blocks(free_order.size());
  for (auto _ : state) {
    for (void*& block : blocks) block = touched(std::malloc(size));
    for (const size_t index : free_order) std::free(blocks[index]);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(blocks.size()));
}

}  // namespace

void batch_lifo(benchmark::State& state) {
  std::vector<size_t> order(static_cast<size_t>(state.range(1)));
  for (size_t i = 0; i < order.size(); ++i) order[i] = order.size() - 1 - i;
  batch(state, order);
}

void batch_random(benchmark::State& state) {
  std::vector<size_t> order(static_cast<size_t>(state.range(1)));
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), std::mt19937_64(42));
  batch(state, order);
}

}  // namespace micro

BENCHMARK_MAIN();
