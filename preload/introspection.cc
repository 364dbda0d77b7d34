// glibc's introspection and tuning calls, with our own figures in them.
#include <errno.h>
#include <malloc.h>
#include <stdio.h>

#include <limits>

#include "base/bits.h"
#include "heap/heap.h"
#include "heap/snapshot.h"
#include "stats/report.h"

#define EP_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

using namespace elasticpool;

// glibc's fields: what lies in frames is its "arena", extents are its "mmapped" blocks, and
// uordblks leaves the latter out. The old structure's int fields stop at INT_MAX.
template <typename Info, typename Field>
Info fill_mallinfo() {
  HeapSnapshot heap;
  take_snapshot(&heap);
  const auto field = [](uint64_t value) {
    constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<Field>::max());
    return static_cast<Field>(value < kMost ? value : kMost);
  };
  const uint64_t frame_bytes = heap.buddy.mapped_bytes;
  const uint64_t live_bytes = heap.slab.live_bytes + heap.buddy.live_bytes;
  Info info{};
  info.arena = field(frame_bytes);
  info.hblks = field(heap.large.live_blocks);
  info.hblkhd = field(heap.large.live_bytes);
  info.fsmblks = field(heap.all_cached_bytes());
  info.uordblks = field(live_bytes);
  info.fordblks = field(saturating_subtract(frame_bytes, live_bytes));
  info.keepcost = field(heap.buddy.free_resident_bytes);
  return info;
}

void write_to_stream(void* stream, const char* bytes, size_t count) {
  fwrite(bytes, 1, count, static_cast<FILE*>(stream));
}

}  // namespace

EP_EXPORT struct mallinfo2 mallinfo2() noexcept {
  return fill_mallinfo<struct mallinfo2, size_t>();
}

EP_EXPORT struct mallinfo mallinfo() noexcept { return fill_mallinfo<struct mallinfo, int>(); }

EP_EXPORT int malloc_trim(size_t keep_bytes) noexcept {
  return elasticpool::heap_trim(keep_bytes) > 0 ? 1 : 0;
}

EP_EXPORT void malloc_stats() noexcept { elasticpool::write_text(write_to_stream, stderr); }

EP_EXPORT int malloc_info(int options, FILE* stream) noexcept {
  if (options != 0) return EINVAL;
  elasticpool::write_xml(write_to_stream, stream);
  return 0;
}

// glibc's parameters steer arenas and thresholds that we do not have: they are taken, and change
// nothing. What can be tuned here is in elasticpool(3).
EP_EXPORT int mallopt(int parameter, int /*value*/) noexcept {
  switch (parameter) {
    case M_MXFAST:
    case M_TRIM_THRESHOLD:
    case M_TOP_PAD:
    case M_MMAP_THRESHOLD:
    case M_MMAP_MAX:
    case M_CHECK_ACTION:
    case M_PERTURB:
    case M_ARENA_TEST:
    case M_ARENA_MAX:
      return 1;
    default:
      return 0;
  }
}
