// See alerts.h.
#include "pressure/alerts.h"

#include <cstring>

#include "base/text_writer.h"
#include "base/units.h"
#include "os/notify.h"
#include "os/output.h"
#include "os/process.h"

namespace elasticpool {
namespace {

constexpr uint64_t kQuietMs = 60000;
constexpr char kCommand[] = "exec:";
constexpr char kVariable[] = "MEMPOOL_ALERT=";

struct Alerts {
  const char* target = "";
  char* const* const* environment = nullptr;
  uint64_t told = 0;
  uint64_t told_ms = 0;
};
constinit Alerts g_alerts;

bool is(const char* target, const char* word) { return strcmp(target, word) == 0; }

bool begins(const char* target, const char* with) {
  return strncmp(target, with, strlen(with)) == 0;
}

bool send(const char* target, TextWriter& line) {
  if (begins(target, kCommand)) {
    line.bytes("\0", 1);
    const Command command = {target + strlen(kCommand), line.data(),
                             g_alerts.environment == nullptr ? nullptr : *g_alerts.environment,
                             kVariable};
    return run_command(command);
  }
  if (is(target, "syslog")) return send_to_system_log(line.data(), line.size());
  line.text("\n");
  if (is(target, "stderr")) {
    write_stderr(line.data(), line.size());
    return true;
  }
  return append_to_file(target, line.data(), line.size());
}

}  // namespace

const char* name_of(PressureLevel level) {
  static constexpr const char* kNames[kPressureLevels] = {"none", "warning", "high", "critical",
                                                          "emergency"};
  return kNames[static_cast<size_t>(level)];
}

const char* name_of(MemorySource source) {
  static constexpr const char* kNames[] = {"none",   "memory.max", "memory.high", "cgroup v1",
                                           "system", "RLIMIT_AS",  "RLIMIT_DATA", "MEMPOOL_LIMIT"};
  return kNames[static_cast<size_t>(source)];
}

void set_alert_target(const char* target, char* const* const* environment) {
  g_alerts = {};
  if (!is(target, "off")) g_alerts.target = target;
  g_alerts.environment = environment;
}

void alert_level(PressureLevel level, const MemoryReading& reading, uint64_t now_ms) {
  if (*g_alerts.target == '\0') return;
  if (g_alerts.told != 0 && now_ms - g_alerts.told_ms < kQuietMs) return;
  char text[256];
  TextWriter line(text, sizeof text - 2);
  line.text("elasticpool: process ").decimal(static_cast<uint64_t>(process_id()));
  line.text(": memory pressure ").text(name_of(level)).text(": ");
  line.decimal(reading.used_bytes / kMiB).text(" MiB of ");
  line.decimal(reading.limit_bytes / kMiB).text(" MiB are used (");
  line.text(name_of(reading.source)).text(")");
  if (!send(g_alerts.target, line)) return;
  ++g_alerts.told;
  g_alerts.told_ms = now_ms;
}

uint64_t alerts_told() { return g_alerts.told; }

}  // namespace elasticpool
