// The report in the form of malloc_info(3): one "heap" for each tier.
#include "base/bits.h"
#include "base/text_writer.h"
#include "heap/snapshot.h"
#include "stats/report.h"

namespace elasticpool {
namespace {

void write_total(TextWriter& out, const char* type, uint64_t count, uint64_t bytes) {
  out.text("<total type=\"").text(type).text("\" count=\"").decimal(count);
  out.text("\" size=\"").decimal(bytes).text("\"/>\n");
}

void write_memory(TextWriter& out, const char* element, const char* type, uint64_t bytes) {
  out.text("<").text(element).text(" type=\"").text(type).text("\" size=\"").decimal(bytes);
  out.text("\"/>\n");
}

void write_slab_sizes(TextWriter& out, const HeapSnapshot& heap) {
  out.text("<sizes>\n");
  size_t below = 0;
  for (size_t i = 0; i < kClasses; ++i) {
    const ClassSnapshot& row = heap.classes[i];
    const uint64_t blocks = row.slabs * kSizeClasses[i].blocks_per_slab;
    const uint64_t free_blocks = saturating_subtract(blocks, row.live_blocks + row.lost_blocks);
    if (free_blocks != 0) {
      out.text("<size from=\"").decimal(below + 1);
      out.text("\" to=\"").decimal(kSizeClasses[i].block_bytes);
      out.text("\" total=\"").decimal(free_blocks * kSizeClasses[i].block_bytes);
      out.text("\" count=\"").decimal(free_blocks).text("\"/>\n");
    }
    below = kSizeClasses[i].block_bytes;
  }
  out.text("</sizes>\n");
}

}  // namespace

void write_xml(ReportSink sink, void* context) {
  HeapSnapshot heap;
  take_snapshot(&heap);
  char buffer[1024];
  TextWriter out(buffer, sizeof buffer, sink, context);
  const uint64_t frame_bytes = heap.buddy.mapped_bytes;
  const uint64_t frame_free_bytes = saturating_subtract(
      frame_bytes, heap.slab.live_bytes + heap.buddy.live_bytes + heap.all_cached_bytes());
  out.text("<malloc version=\"1\">\n<heap nr=\"0\">\n");
  write_slab_sizes(out, heap);
  write_total(out, "fast", heap.all_cached_blocks(), heap.all_cached_bytes());
  write_total(out, "rest", 0, frame_free_bytes);
  write_memory(out, "system", "current", frame_bytes);
  write_memory(out, "aspace", "total", frame_bytes);
  out.text("</heap>\n");
  write_total(out, "fast", heap.all_cached_blocks(), heap.all_cached_bytes());
  write_total(out, "rest", 0, frame_free_bytes);
  write_total(out, "mmap", heap.large.live_blocks, heap.large.live_bytes);
  write_memory(out, "system", "current", frame_bytes);
  write_memory(out, "aspace", "total", heap.mapped_bytes());
  out.text("</malloc>\n");
  out.flush();
}

}  // namespace elasticpool
