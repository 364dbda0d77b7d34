// See kernel_hints.h.
#include "pressure/kernel_hints.h"

#include <algorithm>
#include <cstring>

#include "os/clock.h"
#include "pressure/governor.h"

namespace elasticpool {
namespace {

// Who sleeps on descriptors that the program has closed wakes up all the same, some time.
constexpr uint64_t kLongMs = 600 * uint64_t{1000};
constexpr uint64_t kReopenMs = 10 * uint64_t{1000};
constexpr uint64_t kDeafToAllMs = 1000;
// So often in a row something was lost and nothing was heard.
constexpr unsigned kLossesMax = 3;
// A file in a control group or of a service; a trigger in Base64.
constexpr size_t kWatchBytes = 512;
constexpr size_t kWriteBytes = 360;

// Empty where the service manager has said nothing.
constinit char g_watch[kWatchBytes] = {};
constinit char g_write[kWriteBytes] = {};
// The helper's.
constinit PressureWatch g_pressure_watch;
constinit uint64_t g_opened_ms = 0;
constinit unsigned g_losses = 0;
constinit bool g_is_lost = false;

// False where the variable is that and too long.
template <size_t kCapacity>
bool take(const char* variable, const char* name, char (&copy)[kCapacity]) {
  const size_t name_bytes = strlen(name);
  if (strncmp(variable, name, name_bytes) != 0) return true;
  const char* const value = variable + name_bytes;
  const size_t bytes = strlen(value);
  if (bytes >= kCapacity) return false;
  memcpy(copy, value, bytes + 1);
  return true;
}

void open_sources(bool arms_triggers) {
  g_is_lost = false;
  g_opened_ms = monotonic_ms();
  PressureSources sources;
  const bool is_let_be = g_losses >= kLossesMax;
  if (g_watch[0] != '\0' && !is_let_be) sources.watch = g_watch;
  if (g_write[0] != '\0') sources.watch_write = g_write;
  sources.arms_triggers = arms_triggers && !is_let_be;
  governor_open_watch(&g_pressure_watch, sources);
}

PressureEvents noted(const PressureEvents& events) {
  PressureEvents heard = events;
  heard.lost = false;
  heard.woken = false;
  if (heard != PressureEvents{}) g_losses = 0;
  if (events.lost) {
    g_is_lost = true;
    g_losses = std::min(g_losses + 1, kLossesMax);
  }
  return events;
}

}  // namespace

void note_service_manager(const char* const* environment) {
  bool is_fine = true;
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    is_fine = take(*environment, "MEMORY_PRESSURE_WATCH=", g_watch) && is_fine;
    is_fine = take(*environment, "MEMORY_PRESSURE_WRITE=", g_write) && is_fine;
  }
  if (!is_fine) g_watch[0] = '\0';
}

void open_hints() {
  g_losses = 0;
  open_sources(false);
}

void close_hints() {
  g_pressure_watch.close();
  governor_note_stall(&g_pressure_watch);
}

void arm_hints() { open_sources(true); }

PressureEvents rest_with_hints(uint64_t ms, std::atomic<uint32_t>& word, uint32_t value) {
  sleep_ms(ms, word, value);
  if (word.load(std::memory_order_relaxed) != value) return {};
  if (g_is_lost && monotonic_ms() - g_opened_ms >= kReopenMs) open_sources(false);
  governor_note_stall(&g_pressure_watch);
  return noted(g_pressure_watch.wait(0, word, value));
}

PressureEvents sleep_on_hints(uint64_t deaf_ms, std::atomic<uint32_t>& word, uint32_t value) {
  using Hears = PressureWatch::Hears;
  sleep_ms(std::min(deaf_ms, kDeafToAllMs), word, value);
  PressureEvents events;
  if (deaf_ms > kDeafToAllMs) {
    events = g_pressure_watch.wait(deaf_ms - kDeafToAllMs, word, value, Hears::kServiceOnly);
  }
  if (events == PressureEvents{}) events = g_pressure_watch.wait(kLongMs, word, value);
  governor_note_stall(&g_pressure_watch);
  return noted(events);
}

bool wake_helper(std::atomic<uint32_t>& word) { return g_pressure_watch.wake(word); }

}  // namespace elasticpool
