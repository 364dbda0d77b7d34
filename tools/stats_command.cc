// elasticpool stats: a report of MEMPOOL_STATS=json as tables.
//
// What a report lacks, as that of another version may, is shown as 0; what is there and has the
// wrong type makes it no report.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.h"

namespace elasticpool {
namespace {

// Ordered: the options stand in the order of their table.
using Json = nlohmann::ordered_json;

// A report has some 10 KiB.
constexpr size_t kReportBytesMax = size_t{16} << 20;

std::string read_file(const std::string& file) {
  const bool is_stdin = file == "-";
  const std::unique_ptr<FILE, int (*)(FILE*)> stream(is_stdin ? stdin : fopen(file.c_str(), "rb"),
                                                     fclose);
  if (stream == nullptr) throw CommandError(strerror(errno));
  std::string text;
  char part[4096];
  while (const size_t count = fread(part, 1, sizeof part, stream.get())) {
    text.append(part, count);
    if (text.size() > kReportBytesMax) throw CommandError("is too long for a report");
  }
  if (ferror(stream.get()) != 0) throw CommandError(strerror(errno));
  return text;
}

Json parse(const std::string& text) {
  if (text.empty()) throw CommandError("is empty");
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    const size_t byte = error.byte;
    throw CommandError(byte > text.size() ? "ends in the middle of a report"
                                          : "is no JSON at byte " + std::to_string(byte));
  }
}

// A JSON object, read by key.
class Section {
 public:
  Section(const Json& object, const char* name) : object_(object) {
    if (!object.is_object()) refuse(name, "an object");
  }

  Section section(const char* key) const {
    static const Json kEmpty = Json::object();
    return {find(key, kEmpty), key};
  }
  const Json& array(const char* key) const {
    static const Json kEmpty = Json::array();
    const Json& value = find(key, kEmpty);
    if (!value.is_array()) refuse(key, "a list");
    return value;
  }
  uint64_t number(const char* key) const {
    static const Json kZero = 0U;
    const Json& value = find(key, kZero);
    if (!value.is_number_unsigned()) refuse(key, "a number");
    return value.get<uint64_t>();
  }
  const Json& object() const { return object_; }

  [[noreturn]] static void refuse(const std::string& key, const char* expected) {
    throw CommandError("is no report of elasticpool: " + key + " is not " + expected);
  }

 private:
  const Json& find(const char* key, const Json& otherwise) const {
    const auto found = object_.find(key);
    return found == object_.end() ? otherwise : *found;
  }

  const Json& object_;
};

// Nothing that would steer a terminal.
std::string printable(const Json& value, const char* key) {
  if (!value.is_string()) Section::refuse(key, "a text");
  std::string text = value.get<std::string>();
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  return text;
}

void write_row(TextWriter& out, const char* label, uint64_t bytes) {
  out.text("  ").text(label).pad_to(20).human_bytes(bytes).text("\n");
}

void write_lost(TextWriter& out, const Section& lost) {
  if (lost.number("threads") == 0) return;
  out.text("  lost in fork").pad_to(20).human_bytes(lost.number("bytes")).text(" in ");
  out.decimal(lost.number("blocks")).text(" blocks cached by ");
  out.decimal(lost.number("threads")).text(" other threads of the parent;\n").pad_to(20);
  out.text("if they were at work, this, live and requests are estimates\n");
}

void write_process(TextWriter& out, const Section& report) {
  const Section live = report.section("live");
  const Section faults = report.section("page_faults");
  out.text("  requests").pad_to(20).decimal(report.section("requested").number("blocks"));
  out.text("\n  live").pad_to(20).human_bytes(live.number("bytes")).text(" in ");
  out.decimal(live.number("blocks")).text(" blocks\n");
  write_lost(out, report.section("lost_in_fork"));
  write_row(out, "resident", report.number("resident_bytes"));
  write_row(out, "peak resident", report.number("peak_resident_bytes"));
  write_row(out, "mapped", report.number("mapped_bytes"));
  write_row(out, "returned, at most", report.number("returned_bytes"));
  out.text("  page faults").pad_to(20).decimal(faults.number("minor")).text(" minor, ");
  out.decimal(faults.number("major")).text(" major\n  foreign frees").pad_to(20);
  out.decimal(report.number("foreign_frees")).text("\n");
}

void write_tier(TextWriter& out, const char* name, const Section& tier) {
  out.text("  ").text(name).decimal_at(22, tier.number("requests"));
  out.decimal_at(36, tier.number("live_blocks")).pad_to(38).human_bytes(tier.number("live_bytes"));
  out.pad_to(50).human_bytes(tier.number("mapped_bytes")).pad_to(62);
  out.human_bytes(tier.number("free_resident_bytes")).pad_to(75);
  out.human_bytes(tier.number("returned_bytes")).text("\n");
}

void write_slab_peak(TextWriter& out, const Section& peak) {
  const uint64_t mapped_bytes = peak.number("mapped_bytes");
  if (mapped_bytes == 0) return;
  const uint64_t live_bytes = peak.number("live_bytes");
  out.text("\n  slabs: ").percent(live_bytes, mapped_bytes).text(" used at their peak of ");
  out.human_bytes(mapped_bytes);
}

void write_tiers(TextWriter& out, const Section& tiers) {
  const Section magazine = tiers.section("magazine");
  const Section large = tiers.section("large");
  out.text(
      "\n  tier        requests   live blocks  live        mapped      free, kept   returned, at "
      "most\n");
  for (const char* name : {"slab", "buddy", "large"}) write_tier(out, name, tiers.section(name));
  out.text("  large: at most ")
      .human_bytes(large.number("peak_live_bytes"))
      .text(" live at once, ");
  out.human_bytes(large.number("free_clean_bytes")).text(" free without pages");
  if (const uint64_t lost_bytes = large.number("lost_bytes"); lost_bytes > 0) {
    out.text(", ").human_bytes(lost_bytes).text(" of addresses lost to others");
  }
  write_slab_peak(out, tiers.section("slab").section("peak"));
  out.text("\n  magazines served ").percent(magazine.number("served"), magazine.number("requests"));
  out.text(" of ").decimal(magazine.number("requests")).text(" requests and hold ");
  out.decimal(magazine.number("cached_blocks")).text(" blocks, ");
  out.human_bytes(magazine.number("cached_bytes")).text(", of ");
  out.decimal(magazine.number("threads")).text(" threads; and ");
  out.human_bytes(tiers.section("buddy").number("cached_bytes")).text(" of buddy blocks\n");
}

void write_pressure(TextWriter& out, const Json& json, const Section& report) {
  // Older reports have none.
  if (!json.contains("pressure")) return;
  const Section pressure = report.section("pressure");
  out.text("  memory pressure ").text(printable(json["pressure"]["level"], "a level").c_str());
  out.text(", at most ").text(printable(json["pressure"]["highest_level"], "a level").c_str());
  out.text("; ").human_bytes(pressure.number("used_bytes")).text(" of ");
  out.human_bytes(pressure.number("limit_bytes")).text(" used (");
  out.text(printable(json["pressure"]["source"], "a source").c_str()).text("); ");
  out.human_bytes(pressure.number("returned_bytes")).text(" given back for it, listeners asked ");
  out.decimal(pressure.number("listeners_asked")).text(" times\n");
}

void write_class(TextWriter& out, const Section& row) {
  const uint64_t requests = row.number("requests");
  out.decimal_at(8, row.number("size")).decimal_at(22, requests).pad_to(24);
  out.percent(row.number("served_by_magazine"), requests).decimal_at(41, row.number("refills"));
  out.decimal_at(53, row.number("live")).decimal_at(64, row.number("cached"));
  out.decimal_at(72, row.number("slabs")).pad_to(74);
  out.percent(row.number("live") * row.number("size"), row.number("slab_bytes")).text("\n");
}

void write_classes(TextWriter& out, const Json& classes) {
  if (classes.empty()) return;
  out.text("\n    size      requests  magazine   refills        live     cached   slabs used\n");
  for (const Json& row : classes) write_class(out, Section(row, "a class"));
}

void write_options(TextWriter& out, const Section& options) {
  if (options.object().empty()) return;
  out.text("\n");
  for (const auto& [name, value] : options.object().items()) {
    out.text("  MEMPOOL_").text(printable(name, "a name").c_str()).pad_to(26).text("= ");
    out.text(printable(value, name.c_str()).c_str()).text("\n");
  }
}

void write_report(TextWriter& out, const Json& json) {
  const Section report(json, "it");
  if (!json.contains("elasticpool")) throw CommandError("is no report of elasticpool");
  out.text("elasticpool ").text(printable(json["elasticpool"], "elasticpool").c_str());
  out.text(", process ").decimal(report.number("pid")).text("\n");
  write_process(out, report);
  write_tiers(out, report.section("tiers"));
  write_pressure(out, json, report);
  write_classes(out, report.array("classes"));
  write_options(out, report.section("options"));
}

}  // namespace

int stats_command(const std::string& file) {
  // Whole before the first line is printed: a report that turns out to be none prints nothing.
  std::string printed;
  char buffer[1024];
  TextWriter out(
      buffer, sizeof buffer,
      [](void* context, const char* bytes, size_t count) {
        static_cast<std::string*>(context)->append(bytes, count);
      },
      &printed);
  try {
    write_report(out, parse(read_file(file)));
  } catch (const CommandError& error) {
    throw CommandError(file + ": " + error.what());
  }
  out.flush();
  std::cout << printed;
  return 0;
}

}  // namespace elasticpool
