// What the micro benchmarks share. They use the public interface of malloc alone, so that whatever
// is preloaded is measured:
//
//   LD_PRELOAD=libelasticpool.so micro --benchmark_filter=pair
//
// Names are tier/what/size: small is served from slabs, medium from buddy blocks, large from
// extents of their own. Threads share nothing: what they show is how much they stand in each
// other's way.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <vector>

namespace micro {

constexpr int64_t kKiB = 1024;
constexpr int64_t kMiB = 1024 * kKiB;
constexpr size_t kPageBytes = 4096;

// Writes one byte of each page: what a program pays at least before it can use the block.
inline void touch_pages(void* block, size_t size) {
  for (size_t at = 0; at < size; at += kPageBytes) static_cast<volatile char*>(block)[at] = 1;
}

// Writes the first byte; the compiler must not take malloc and free for a pair without effect.
inline void* touched(void* block) {
  *static_cast<volatile char*>(block) = 1;
  benchmark::DoNotOptimize(block);
  return block;
}

// One block, freed before the next is asked for: the fast path alone.
void pair(benchmark::State& state);
// The same with every page written.
void pair_written(benchmark::State& state);
// `range(1)` blocks, freed last in, first out.
void batch_lifo(benchmark::State& state);
// The same, freed in an order of no pattern.
void batch_random(benchmark::State& state);

}  // namespace micro
