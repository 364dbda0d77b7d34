// The report for a person.
#include "base/text_writer.h"
#include "heap/pressure_view.h"
#include "heap/snapshot.h"
#include "heap/tuner_view.h"
#include "os/process.h"
#include "stats/report.h"
#include "tune/options.h"

namespace elasticpool {
namespace {

void write_bytes(TextWriter& out, const char* label, uint64_t bytes, const char* note = "") {
  out.text("  ").text(label).pad_to(22).human_bytes(bytes);
  if (note[0] != '\0') out.pad_to(36).text(note);
  out.text("\n");
}

void write_process(TextWriter& out, const HeapSnapshot& heap) {
  const Residency memory = residency();
  const PageFaults faults = page_faults();
  out.text("  requests").pad_to(22).decimal(heap.requests()).text("\n");
  out.text("  live").pad_to(22).human_bytes(heap.live_bytes());
  out.pad_to(36).text("in ").decimal(heap.live_blocks()).text(" blocks (sizes of their classes)\n");
  if (heap.lost_threads > 0) {
    out.text("  lost in fork").pad_to(22).human_bytes(heap.lost_bytes).pad_to(36).text("in ");
    out.decimal(heap.lost_blocks).text(" blocks that ").decimal(heap.lost_threads);
    out.text(" other threads of the parent had cached;\n").pad_to(36);
    out.text("if they were at work, this, live and requests are estimates\n");
  }
  if (memory.resident_bytes != 0) {
    write_bytes(out, "resident", memory.resident_bytes, "the whole process");
  }
  write_bytes(out, "peak resident", memory.peak_resident_bytes, "the whole process");
  write_bytes(out, "mapped", heap.mapped_bytes(), "by this allocator");
  write_bytes(out, "of that its own", heap.own_bytes, "records and maps, resident where used");
  write_bytes(out, "returned so far", heap.returned_bytes(),
              "at most: a page that was never touched counts too");
  out.text("  page faults").pad_to(22).decimal(faults.minor).text(" minor, ");
  out.decimal(faults.major).text(" major\n");
  if (heap.threads > 1 && heap.usable_cpus != 0) {
    out.text("  usable CPUs").pad_to(22).decimal(heap.usable_cpus).pad_to(36);
    out.text("of the affinity mask and the cgroup's quota; ").decimal(heap.cpu_caches);
    out.text(" have slabs\n");
  }
  if (heap.numa_nodes > 1) out.text("  NUMA nodes").pad_to(22).decimal(heap.numa_nodes).text("\n");
  if (heap.foreign_frees > 0) {
    out.text("  foreign frees").pad_to(22).decimal(heap.foreign_frees).pad_to(36);
    out.text("blocks of libc's own, given to libc\n");
  }
}

void write_tiers(TextWriter& out, const HeapSnapshot& heap) {
  const uint64_t served = heap.magazine_requests - heap.magazine_missed;
  out.text("\ntiers\n  magazines").pad_to(14).percent(served, heap.magazine_requests);
  out.text(" of ").decimal(heap.magazine_requests).text(" requests up to 32 KiB served; ");
  out.decimal(heap.cached_blocks).text(" blocks (").human_bytes(heap.cached_bytes);
  out.text(") cached by ").decimal(heap.threads).text(" threads,\n").pad_to(14);
  out.text("which have room for ").human_bytes(heap.magazine_capacity_bytes).text(" of at most ");
  out.human_bytes(heap.magazine_bound_bytes).text("\n");
  out.text("  slabs").pad_to(14).human_bytes(heap.slab.live_bytes).text(" live in ");
  out.human_bytes(heap.slab.mapped_bytes).text(" of slabs: ");
  out.percent(heap.slab.live_bytes, heap.slab.mapped_bytes).text(" used");
  if (const SlabPeak& peak = heap.slab_peak; peak.slab_bytes != 0) {
    out.text("; at their peak ").percent(peak.live_bytes, peak.slab_bytes).text(" of ");
    out.human_bytes(peak.slab_bytes);
  }
  out.text("\n");
  out.text("  buddy").pad_to(14).human_bytes(heap.buddy.live_bytes).text(" live in ");
  out.decimal(heap.buddy.live_blocks).text(" blocks, ").decimal(heap.buddy.requests);
  out.text(" requests; ").human_bytes(heap.held_run_bytes).text(" cached by threads; ");
  out.decimal(heap.frames).text(" frames of 2 MiB with slabs and blocks, ");
  out.human_bytes(heap.buddy.free_resident_bytes).text(" of them free and kept");
  if (heap.huge_frames > 0) {
    out.text("; ").decimal(heap.huge_frames).text(" asked to be huge pages");
  }
  if (heap.hugetlb_frames > 0) {
    out.text("; ")
        .decimal(heap.hugetlb_frames)
        .text(" on hugetlb pages, which no figure of resident memory counts");
  }
  out.text("\n");
  out.text("  large").pad_to(14).human_bytes(heap.large.live_bytes).text(" live in ");
  out.decimal(heap.large.live_blocks).text(" extents, ").decimal(heap.large.requests);
  out.text(" requests, ").decimal(heap.large_reused).text(" from free ones; ");
  out.decimal(heap.large_remaps).text(" grown by mremap, ").decimal(heap.large_copies);
  out.text(" copied; ").human_bytes(heap.large.free_resident_bytes).text(" free and kept, ");
  out.human_bytes(heap.large_free_clean_bytes).text(" without pages");
  if (heap.large_lost_bytes > 0) {
    out.text(", ").human_bytes(heap.large_lost_bytes).text(" of addresses lost to others");
  }
  out.text("\n");
}

void write_nodes(TextWriter& out, const HeapSnapshot& heap) {
  if (heap.numa_nodes == 1) return;
  out.text("\nnodes\n");
  if (heap.numa_nodes > kNodesMax) {
    out.text("  each with those of ").decimal(kNodesMax).text(", ").decimal(2 * kNodesMax);
    out.text(", ... more\n");
  }
  for (size_t i = 0; i < heap.node_rows(); ++i) {
    const NodeSnapshot& row = heap.nodes[i];
    out.text("  ").decimal(i).pad_to(14);
    if (heap.nodes_have_books) {
      out.decimal(row.frames)
          .text(" frames: ")
          .human_bytes(row.slab_out_bytes)
          .text(" handed out of ");
      out.human_bytes(row.slab_bytes).text(" of slabs, ").human_bytes(row.buddy_live_bytes);
      out.text(" of buddy blocks, ").human_bytes(row.free_resident_bytes).text(" free and kept; ");
    }
    if (heap.nodes_have_resident) {
      out.text("resident there: ").human_bytes(row.frames_resident_bytes).text(" of all frames, ");
      out.human_bytes(row.large_resident_bytes).text(" of all extents");
    } else {
      out.text("the kernel does not say what is resident there");
    }
    out.text("\n");
  }
}

void write_forecast(TextWriter& out, const Outlook& outlook) {
  out.text("  forecast").pad_to(14);
  for (const Forecast& forecast : outlook.forecasts) {
    out.text("in ").decimal(forecast.horizon_s).text(" s ").human_bytes(forecast.used_bytes);
    out.text(" (").human_bytes(forecast.low_bytes).text(" to ").human_bytes(forecast.high_bytes);
    out.text(", confidence ").percent(per_mille(forecast.confidence), 1000).text("); ");
  }
  out.text("critical within 120 s: ").percent(per_mille(outlook.crossing), 1000).text("; ");
  out.decimal(outlook.alarms).text(" alarms\n");
}

void write_pressure(TextWriter& out) {
  PressureState state;
  take_pressure(&state);
  const MemoryReading& reading = state.reading;
  out.text("\npressure\n  level").pad_to(14).text(name_of(state.level));
  if (reading.source == MemorySource::kNone) {
    out.text("; no limit is known\n");
  } else {
    out.text("; ").human_bytes(reading.used_bytes).text(" of ");
    out.human_bytes(reading.limit_bytes).text(" used (").text(name_of(reading.source));
    out.text("); at most ").text(name_of(state.highest)).text(", ");
    out.decimal(state.level_changes).text(" changes, ").decimal(alerts_told()).text(" alerts\n");
  }
  out.text("  heap").pad_to(14).human_bytes(state.held_bytes).text(" held at the last of ");
  out.decimal(state.looks).text(" looks; ").human_bytes(state.returned_bytes);
  out.text(" given back under pressure, when listeners were asked ").decimal(state.told);
  out.text(" times;\n").pad_to(14).text("the last time ");
  out.human_bytes(state.last_returned_bytes).text(" of ");
  out.human_bytes(state.last_wanted_bytes).text(" that were wanted\n");
  if (state.is_stall_known) {
    out.text("  stalls").pad_to(14).percent(state.stall_permyriad, 10000);
    out.text(" of the last ten seconds; memory was said to be short ").decimal(state.shortages);
    out.text(" times\n");
  }
  if (state.is_forecast) write_forecast(out, state.outlook);
}

// A class with less than this part of all batches is idle.
constexpr uint64_t kIdleShare = 1000;

// The last three columns are the tuner's: the class's share of all batches that moved between
// magazines and slabs, the blocks that its magazines have room for now, and an estimate.
void write_class(TextWriter& out, const HeapSnapshot& heap, size_t index) {
  const ClassSnapshot& row = heap.classes[index];
  const size_t block_bytes = kSizeClasses[index].block_bytes;
  const uint64_t slab_bytes = row.slabs * kSizeClasses[index].slab_bytes;
  ClassTuning tuning;
  class_tuning(ClassId{static_cast<uint8_t>(index)}, &tuning);
  out.decimal_at(7, block_bytes).decimal_at(18, row.requests).pad_to(20);
  out.percent(row.requests - row.missed, row.requests).decimal_at(37, row.refills);
  out.decimal_at(48, row.live_blocks).decimal_at(58, row.cached_blocks);
  out.decimal_at(66, row.slabs).pad_to(68);
  out.percent(row.live_blocks * block_bytes, slab_bytes).pad_to(76);
  const uint64_t events = row.events();
  if (events * kIdleShare < heap.magazine_events) {
    out.text("idle");
  } else {
    out.percent(events, heap.magazine_events);
  }
  out.decimal_at(90, tuning.capacity_blocks).pad_to(92);
  const uint64_t known_blocks = tuning.pattern.weight() == 0 ? 0 : row.live_blocks;
  out.percent(tuning.pattern.unused_bytes_of(row.live_blocks), known_blocks * block_bytes);
  out.text("\n");
}

void write_classes(TextWriter& out, const HeapSnapshot& heap) {
  out.text(
      "\n  class   requests  magazine  refills       live    cached   slabs  used    batches   "
      "room  unused\n");
  for (size_t i = 0; i < kClasses; ++i) {
    if (heap.classes[i].is_used()) write_class(out, heap, i);
  }
}

void write_pattern(TextWriter& out, const HeapSnapshot& heap) {
  TunerView view;
  take_tuner_view(heap, &view);
  out.text("\npattern of sizes, estimated from the misses\n  unused").pad_to(14);
  out.human_bytes(view.unused_bytes).text(" within live blocks up to 32 KiB: ");
  out.percent(view.unused_bytes, heap.slab.live_bytes).text(" of them\n");
  for (size_t i = 0; i < view.advice_count; ++i) {
    const NewClass& added = view.advice[i].added;
    out.text("  new class").pad_to(14).decimal(added.block_bytes).text(" bytes, beside ");
    out.decimal(block_bytes_of(view.advice[i].id)).text(": would save about ");
    out.human_bytes(added.saved_bytes).text(", ").percent(added.saved_bytes, heap.live_bytes());
    out.text(" of all that is live\n");
  }
}

void write_options(TextWriter& out) {
  out.text("\noptions\n");
  for_each_option(
      [](void* context, const OptionState& state) {
        auto& writer = *static_cast<TextWriter*>(context);
        writer.text("  MEMPOOL_").text(state.info.name).pad_to(26).text("= ").text(state.value);
        if (state.is_set) writer.pad_to(40).text("(default ").text(state.fallback).text(")");
        writer.text("\n");
      },
      &out);
}

}  // namespace

void write_text(ReportSink sink, void* context) {
  HeapSnapshot heap;
  take_snapshot(&heap);
  take_nodes(&heap);
  char buffer[1024];
  TextWriter out(buffer, sizeof buffer, sink, context);
  out.text("elasticpool " EP_VERSION_STRING ", process ")
      .decimal(static_cast<uint64_t>(process_id()));
  out.text("\n");
  write_process(out, heap);
  write_tiers(out, heap);
  write_nodes(out, heap);
  write_pressure(out);
  write_classes(out, heap);
  write_pattern(out, heap);
  write_options(out);
  out.flush();
}

}  // namespace elasticpool
