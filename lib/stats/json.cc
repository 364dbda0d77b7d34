// The report for programs: one JSON object, every number an integer.
#include "base/text_writer.h"
#include "heap/pressure_view.h"
#include "heap/snapshot.h"
#include "heap/tuner_view.h"
#include "os/process.h"
#include "stats/report.h"
#include "tune/options.h"

namespace elasticpool {
namespace {

// Commas and quotes; objects nest by calls.
class JsonWriter {
 public:
  explicit JsonWriter(TextWriter& out) : out_(out) {}

  void open(const char* key, char bracket) {
    begin(key);
    out_.bytes(&bracket, 1);
    first_ = true;
  }
  void close(char bracket) {
    out_.bytes(&bracket, 1);
    first_ = false;
  }
  void number(const char* key, uint64_t value) {
    begin(key);
    out_.decimal(value);
  }
  void string(const char* key, const char* value) {
    begin(key);
    out_.text("\"");
    for (const char* c = value; *c != '\0'; ++c) {
      const auto code = static_cast<unsigned char>(*c);
      if (code == '"' || code == '\\') {
        out_.text("\\").bytes(c, 1);
      } else if (code < 0x20 || code >= 0x7f) {
        // Names of files need not be UTF-8; JSON must.
        out_.text("?");
      } else {
        out_.bytes(c, 1);
      }
    }
    out_.text("\"");
  }

 private:
  void begin(const char* key) {
    if (!first_) out_.text(",");
    first_ = false;
    if (key != nullptr) out_.text("\"").text(key).text("\":");
  }

  TextWriter& out_;
  bool first_ = true;
};

void write_options(JsonWriter& json) {
  json.open("options", '{');
  for_each_option(
      [](void* context, const OptionState& state) {
        static_cast<JsonWriter*>(context)->string(state.info.name, state.value);
      },
      &json);
  json.close('}');
}

void write_tier(JsonWriter& json, const char* name, const TierSnapshot& tier) {
  json.open(name, '{');
  json.number("requests", tier.requests);
  json.number("live_blocks", tier.live_blocks);
  json.number("live_bytes", tier.live_bytes);
  json.number("mapped_bytes", tier.mapped_bytes);
  json.number("free_resident_bytes", tier.free_resident_bytes);
  json.number("returned_bytes", tier.returned_bytes);
}

// Of the parent's other threads, and an estimate where they were at work: see heap/snapshot.h.
void write_lost(JsonWriter& json, const HeapSnapshot& heap) {
  json.open("lost_in_fork", '{');
  json.number("threads", heap.lost_threads);
  json.number("blocks", heap.lost_blocks);
  json.number("bytes", heap.lost_bytes);
  json.close('}');
}

// All zero where slabs never took enough for a look.
void write_slab_peak(JsonWriter& json, const SlabPeak& peak) {
  json.open("peak", '{');
  json.number("mapped_bytes", peak.slab_bytes);
  json.number("live_bytes", peak.live_bytes);
  json.number("cached_bytes", peak.cached_bytes);
  json.number("most_live_bytes", peak.most_live_bytes);
  json.close('}');
}

void write_tiers(JsonWriter& json, const HeapSnapshot& heap) {
  json.open("tiers", '{');
  json.open("magazine", '{');
  json.number("requests", heap.magazine_requests);
  json.number("served", heap.magazine_requests - heap.magazine_missed);
  json.number("cached_blocks", heap.cached_blocks);
  json.number("cached_bytes", heap.cached_bytes);
  json.number("threads", heap.threads);
  json.number("events", heap.magazine_events);
  json.number("capacity_bytes", heap.magazine_capacity_bytes);
  json.number("bound_bytes", heap.magazine_bound_bytes);
  json.close('}');
  write_tier(json, "slab", heap.slab);
  write_slab_peak(json, heap.slab_peak);
  json.close('}');
  write_tier(json, "buddy", heap.buddy);
  json.number("cached_blocks", heap.held_runs);
  json.number("cached_bytes", heap.held_run_bytes);
  json.number("lost_blocks", heap.lost_runs);
  json.number("frames", heap.frames);
  json.number("huge_frames", heap.huge_frames);
  json.number("hugetlb_frames", heap.hugetlb_frames);
  json.close('}');
  write_tier(json, "large", heap.large);
  json.number("peak_live_bytes", heap.large_peak_live_bytes);
  json.number("free_clean_bytes", heap.large_free_clean_bytes);
  json.number("hole_bytes", heap.large_hole_bytes);
  json.number("lost_bytes", heap.large_lost_bytes);
  json.number("reused", heap.large_reused);
  json.number("remaps", heap.large_remaps);
  json.number("copies", heap.large_copies);
  json.close('}');
  json.close('}');
}

// What our books do not hold, and what the kernel does not say, is left out.
void write_nodes(JsonWriter& json, const HeapSnapshot& heap) {
  json.number("numa_nodes", heap.numa_nodes);
  if (heap.numa_nodes == 1) return;
  json.open("nodes", '[');
  for (size_t i = 0; i < heap.node_rows(); ++i) {
    const NodeSnapshot& row = heap.nodes[i];
    json.open(nullptr, '{');
    json.number("node", i);
    if (heap.nodes_have_books) {
      json.number("frames", row.frames);
      json.number("slab_bytes", row.slab_bytes);
      json.number("slab_out_bytes", row.slab_out_bytes);
      json.number("buddy_live_bytes", row.buddy_live_bytes);
      json.number("free_resident_bytes", row.free_resident_bytes);
    }
    if (heap.nodes_have_resident) {
      json.number("frames_resident_bytes", row.frames_resident_bytes);
      json.number("large_resident_bytes", row.large_resident_bytes);
    }
    json.close('}');
  }
  json.close(']');
}

void write_classes(JsonWriter& json, const HeapSnapshot& heap) {
  json.open("classes", '[');
  for (size_t i = 0; i < kClasses; ++i) {
    const ClassSnapshot& row = heap.classes[i];
    if (!row.is_used()) continue;
    ClassTuning tuning;
    class_tuning(ClassId{static_cast<uint8_t>(i)}, &tuning);
    json.open(nullptr, '{');
    json.number("size", kSizeClasses[i].block_bytes);
    json.number("requests", row.requests);
    json.number("served_by_magazine", row.requests - row.missed);
    json.number("refills", row.refills);
    json.number("flushes", row.flushes);
    json.number("live", row.live_blocks);
    json.number("cached", row.cached_blocks);
    json.number("lost", row.lost_blocks);
    json.number("slabs", row.slabs);
    json.number("slabs_peak", row.slabs_peak);
    json.number("slab_bytes", row.slabs * kSizeClasses[i].slab_bytes);
    json.number("magazines", tuning.magazines);
    json.number("capacity", tuning.capacity_blocks);
    json.number("capacity_min", tuning.capacity_blocks_min);
    json.number("capacity_max", tuning.capacity_blocks_max);
    json.number("sampled", tuning.pattern.weight());
    json.number("unused_bytes_estimated", tuning.pattern.unused_bytes_of(row.live_blocks));
    json.close('}');
  }
  json.close(']');
}

// All of it estimates: see tuner_view.h.
void write_pattern(JsonWriter& json, const HeapSnapshot& heap) {
  TunerView view;
  take_tuner_view(heap, &view);
  json.open("pattern", '{');
  json.number("unused_bytes_estimated", view.unused_bytes);
  json.open("classes_to_add", '[');
  for (size_t i = 0; i < view.advice_count; ++i) {
    json.open(nullptr, '{');
    json.number("size", view.advice[i].added.block_bytes);
    json.number("splits", block_bytes_of(view.advice[i].id));
    json.number("saved_bytes_estimated", view.advice[i].added.saved_bytes);
    json.close('}');
  }
  json.close(']');
  json.close('}');
}

void write_forecasts(JsonWriter& json, const Outlook& outlook) {
  json.open("forecasts", '[');
  for (const Forecast& forecast : outlook.forecasts) {
    json.open(nullptr, '{');
    json.number("horizon_s", forecast.horizon_s);
    json.number("used_bytes", forecast.used_bytes);
    json.number("low_bytes", forecast.low_bytes);
    json.number("high_bytes", forecast.high_bytes);
    json.number("confidence_per_mille", per_mille(forecast.confidence));
    json.close('}');
  }
  json.close(']');
  json.number("critical_per_mille", per_mille(outlook.crossing));
  json.number("alarms", outlook.alarms);
}

void write_pressure(JsonWriter& json) {
  PressureState state;
  take_pressure(&state);
  json.open("pressure", '{');
  json.string("level", name_of(state.level));
  json.string("highest_level", name_of(state.highest));
  json.string("source", name_of(state.reading.source));
  json.number("limit_bytes", state.reading.limit_bytes);
  json.number("used_bytes", state.reading.used_bytes);
  json.number("heap_bytes", state.held_bytes);
  json.number("looks", state.looks);
  json.number("level_changes", state.level_changes);
  json.number("alerts", alerts_told());
  json.number("listeners_asked", state.told);
  json.number("returned_bytes", state.returned_bytes);
  json.number("last_wanted_bytes", state.last_wanted_bytes);
  json.number("last_returned_bytes", state.last_returned_bytes);
  json.number("shortages", state.shortages);
  if (state.is_stall_known) json.number("stalled_permyriad", state.stall_permyriad);
  if (state.is_forecast) write_forecasts(json, state.outlook);
  json.close('}');
}

}  // namespace

void write_json(ReportSink sink, void* context) {
  HeapSnapshot heap;
  take_snapshot(&heap);
  take_nodes(&heap);
  const Residency memory = residency();
  const PageFaults faults = page_faults();
  char buffer[1024];
  TextWriter out(buffer, sizeof buffer, sink, context);
  JsonWriter json(out);
  json.open(nullptr, '{');
  json.string("elasticpool", EP_VERSION_STRING);
  json.number("pid", static_cast<uint64_t>(process_id()));
  write_options(json);
  json.open("requested", '{');
  json.number("blocks", heap.requests());
  json.close('}');
  json.open("live", '{');
  json.number("blocks", heap.live_blocks());
  json.number("bytes", heap.live_bytes());
  json.close('}');
  write_lost(json, heap);
  json.number("resident_bytes", memory.resident_bytes);
  json.number("peak_resident_bytes", memory.peak_resident_bytes);
  json.number("mapped_bytes", heap.mapped_bytes());
  json.number("own_bytes", heap.own_bytes);
  json.number("returned_bytes", heap.returned_bytes());
  json.open("page_faults", '{');
  json.number("minor", faults.minor);
  json.number("major", faults.major);
  json.close('}');
  json.number("usable_cpus", heap.usable_cpus);
  json.number("cpu_caches", heap.cpu_caches);
  write_nodes(json, heap);
  json.number("foreign_frees", heap.foreign_frees);
  write_tiers(json, heap);
  write_classes(json, heap);
  write_pattern(json, heap);
  write_pressure(json);
  json.close('}');
  out.text("\n");
  out.flush();
}

}  // namespace elasticpool
