// See kernel_hints.h.
#include "pressure/kernel_hints.h"

#include <cstring>

#include "os/clock.h"
#include "pressure/governor.h"

namespace elasticpool {
namespace {

// Who sleeps on descriptors that the program has closed wakes up all the same, some time.
constexpr uint64_t kLongMs = 600 * uint64_t{1000};
// A file in a control group or of a service; a trigger in Base64.
constexpr size_t kWatchBytes = 512;
constexpr size_t kWriteBytes = 360;

// Empty where the service manager has said nothing.
constinit char g_watch[kWatchBytes] = {};
constinit char g_write[kWriteBytes] = {};
// The helper's.
constinit PressureWatch g_pressure_watch;

template <size_t kCapacity>
void take(const char* variable, const char* name, char (&copy)[kCapacity]) {
  const size_t name_bytes = strlen(name);
  if (strncmp(variable, name, name_bytes) != 0) return;
  const char* const value = variable + name_bytes;
  const size_t bytes = strlen(value);
  if (bytes < kCapacity) memcpy(copy, value, bytes + 1);
}

void open_sources(bool arms_triggers) {
  PressureSources sources;
  if (g_watch[0] != '\0') sources.watch = g_watch;
  if (g_write[0] != '\0') sources.watch_write = g_write;
  sources.arms_triggers = arms_triggers;
  governor_open_watch(&g_pressure_watch, sources);
}

}  // namespace

void note_service_manager(const char* const* environment) {
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    take(*environment, "MEMORY_PRESSURE_WATCH=", g_watch);
    take(*environment, "MEMORY_PRESSURE_WRITE=", g_write);
  }
}

void open_hints() { open_sources(false); }

void close_hints() { g_pressure_watch.close(); }

void arm_hints() { open_sources(true); }

PressureEvents rest_with_hints(uint64_t ms, std::atomic<uint32_t>& word, uint32_t value) {
  sleep_ms(ms, word, value);
  if (word.load(std::memory_order_relaxed) != value) return {};
  governor_note_stall(&g_pressure_watch);
  return g_pressure_watch.wait(0, word, value);
}

PressureEvents sleep_on_hints(uint64_t deaf_ms, std::atomic<uint32_t>& word, uint32_t value) {
  if (deaf_ms != 0) sleep_ms(deaf_ms, word, value);
  const PressureEvents events = g_pressure_watch.wait(kLongMs, word, value);
  governor_note_stall(&g_pressure_watch);
  return events;
}

bool wake_helper(std::atomic<uint32_t>& word) { return g_pressure_watch.wake(word); }

}  // namespace elasticpool
