// What the programs of this folder share: bursts of blocks, threads that stay alive and idle, the
// pages that still hold something, and waiting for memory to go.
//
// Each asks what a process costs that has done its work and waits: nobody calls malloc or free
// while it is looked at. So the programs sleep, and their times mean nothing.
#pragma once

#include <algorithm>
#include <chrono>
#include <latch>
#include <utility>

#include "workload.h"

namespace giveback {

using Blocks = std::vector<bench::Block>;

// --wait=MS --until=PER_MILLE+KIB, and what every workload takes.
//
// --wait is how long an idle process is left alone before it is looked at. With --until that ends
// as soon as at most PER_MILLE thousandths of what is live, and KIB more, are resident: for tests,
// on machines that may be slow.
struct Options {
  bench::Options common;
  uint64_t wait_ms;
  uint64_t until_per_mille = 0, until_kib = 0;

  static Options parse(int argc, char** argv, uint64_t wait_ms) {
    Options options;
    options.wait_ms = wait_ms;
    std::vector<char*> others;
    for (int i = 0; i < argc; ++i) {
      unsigned long long first = 0, second = 0;
      if (std::sscanf(argv[i], "--wait=%llu", &first) == 1) {
        options.wait_ms = first;
      } else if (std::sscanf(argv[i], "--until=%llu+%llu", &first, &second) == 2) {
        options.until_per_mille = first;
        options.until_kib = second;
      } else {
        others.push_back(argv[i]);
      }
    }
    options.common = bench::Options::parse(static_cast<int>(others.size()), others.data());
    return options;
  }

  // Leaves the process alone; what is resident then.
  size_t wait(size_t live_kib) const {
    constexpr uint64_t kLookMs = 100;
    const bool may_end_early = until_per_mille + until_kib > 0;
    const size_t bound_kib = live_kib * until_per_mille / 1000 + until_kib;
    for (uint64_t waited_ms = 0; waited_ms < wait_ms; waited_ms += kLookMs) {
      if (may_end_early && bench::resident_kib() <= bound_kib) break;
      sleep_ms(std::min(kLookMs, wait_ms - waited_ms));
    }
    return bench::resident_kib();
  }

  static void sleep_ms(uint64_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }
};

// Something for every part of an allocator: small blocks of every size alike, which spread over
// many size classes, and of the bytes a fifth each from 10 to 30 KiB and from 100 to 300 KiB.
inline size_t burst_size(bench::Random& random) {
  const uint64_t per_mille = random.below(1000);
  if (per_mille == 0) return random.between(100 << 10, 300 << 10);
  if (per_mille <= 10) return random.between(10 << 10, 30 << 10);
  return random.between(16, 1015);
}

// The list doubles as it grows, as lists of programs do.
inline Blocks make_burst(bench::Random& random, size_t bytes) {
  Blocks blocks;
  for (size_t made = 0; made < bytes; made += blocks.back().size) {
    blocks.push_back(bench::allocate(burst_size(random), random.next()));
  }
  return blocks;
}

// Runs work(0) .. work(count - 1), each on a thread of its own if there are several, then
// look() on this one while those threads are alive and do nothing.
template <typename Work, typename Look>
void with_idle_threads(unsigned count, Work work, Look look) {
  if (count == 1) {
    work(0u);
    look();
    return;
  }
  std::latch all_idle(count), may_end(1);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      work(i);
      all_idle.count_down();
      may_end.wait();
    });
  }
  all_idle.wait();
  look();
  may_end.count_down();
  for (std::thread& thread : threads) thread.join();
}

// What an allocator that knew everything would have to keep: the pages on which there is a byte of
// these blocks, or of the lists that name them.
inline size_t pages_kib(const std::vector<Blocks>& lists) {
  const auto page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  std::vector<uintptr_t> pages;
  const auto add = [&](const void* start, size_t bytes) {
    const auto first = reinterpret_cast<uintptr_t>(start) / page_bytes;
    const auto last = (reinterpret_cast<uintptr_t>(start) + bytes - 1) / page_bytes;
    for (uintptr_t page = first; bytes > 0 && page <= last; ++page) pages.push_back(page);
  };
  for (const Blocks& blocks : lists) {
    add(blocks.data(), blocks.size() * sizeof(bench::Block));
    for (const bench::Block& block : blocks) add(block.data, block.size);
  }
  std::sort(pages.begin(), pages.end());
  const auto end = std::unique(pages.begin(), pages.end());
  return static_cast<size_t>(end - pages.begin()) * page_bytes / 1024;
}

}  // namespace giveback
