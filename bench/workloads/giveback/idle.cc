// idle: 173 MiB are freed by threads that stay alive, and nothing happens any more.
//
// The server that had its rush hour. What its threads freed lies in their caches, in half-empty
// slabs and in free ranges, and no call comes that could give any of it back. freed_kib is resident
// when the last block is freed, rss_kib after the wait, trimmed_kib after malloc_trim(0), which is
// a call of the C library's own where an allocator has none.
#include <malloc.h>

#include "giveback.h"

namespace {

constexpr size_t kBytes = size_t{173} << 20;
constexpr uint64_t kWaitMs = 3000;

}  // namespace

int main(int argc, char** argv) {
  const auto options = giveback::Options::parse(argc, argv, kWaitMs);
  const unsigned threads = options.common.threads;
  std::vector<uint64_t> checksums(threads), made(threads);
  giveback::with_idle_threads(
      threads,
      [&](unsigned i) {
        bench::Random random(options.common.seed + i);
        giveback::Blocks blocks = giveback::make_burst(random, options.common.share(kBytes));
        checksums[i] = bench::release_all(blocks);
        made[i] = blocks.size();
      },
      [&] {
        const size_t freed_kib = bench::resident_kib();
        const size_t rss_kib = options.wait(0);
        malloc_trim(0);
        std::printf("freed_kib=%zu rss_kib=%zu trimmed_kib=%zu ", freed_kib, rss_kib,
                    bench::resident_kib());
      });
  uint64_t checksum = 0, operations = 0;
  for (unsigned i = 0; i < threads; ++i) {
    checksum += checksums[i];
    operations += made[i];
  }
  return bench::report(checksum, operations);
}
