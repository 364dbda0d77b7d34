// What the kernel says of memory that is short: stalls, events of a group, thresholds; and a wait
// for any of it.
//
// Sources   the service manager's file (systemd.io/MEMORY_PRESSURE: MEMORY_PRESSURE_WATCH and
//           MEMORY_PRESSURE_WRITE; a PSI file, a FIFO or a socket; "/dev/null" says that nothing is
//           to be watched, and nothing is); memory.pressure of the group and
//           /proc/pressure/memory, with a trigger where that is wanted and may be armed;
//           memory.events of the group (version 2); thresholds of memory.usage_in_bytes
//           (version 1). Each may be missing: it is passed over. Where the service manager's is
//           there, no trigger of ours is armed.
// Hints     without swap stalls come when it is too late: usage against the limit comes first
//           (os/memory_limits.h).
// Waking    wait() polls an eventfd beside the sources, and looks at the caller's word as
//           sleep_ms() does (os/clock.h). Who wants the waiter changes the word, then calls wake().
//           Where there is no source, or no eventfd, it is sleep_ms() and nothing else. When the
//           program closes the eventfd while a wait polls it, that wait ends by its time alone, and
//           wake() says so: who stops the waiter should not wait for it then.
// Threads   one: the helper thread of the library, or whoever opens it while there is none. wake():
//           any thread, at any time.
// Descriptors  high, close-on-exec and verified before each wait, as os/kept_file.h says; six at
//           most. Opening takes the least free number for a moment.
// After fork  the child has the same descriptors: it calls close(), or open() anew.
// Errors    a source that fails, or whose group is gone, is closed, and PressureEvents::lost says
//           so once: open() again, as when the group has changed. A threshold is not lost with its
//           group: the kernel says it once more, as crossed.
// Calls     openat, fstat, pread64, read, fcntl, close; where there is something to wait for, poll
//           and eventfd2; write, and for a socket of the service manager socket, connect, sendto.
// Cost      wait(): a poll, and a call or two for each source: 1.4 microseconds. open(): some 50
//           microseconds. To close an armed trigger takes the kernel some 10 milliseconds, at the
//           end of the process too, and that of the service manager's is one: ours are armed on
//           request only, and open() is for processes that last.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "os/control_group.h"
#include "os/event_counter.h"
#include "os/kept_file.h"

namespace elasticpool {

// Shares of the last ten seconds in hundredths of a percent, and stalled time so far: of some
// task, and of all at once.
struct PressureStall {
  uint64_t some_avg10_permyriad = 0;
  uint64_t full_avg10_permyriad = 0;
  uint64_t some_total_us = 0;
  uint64_t full_total_us = 0;
};
// "some avg10=0.12 avg60=0.00 avg300=0.00 total=345\nfull ..." False where it is something else.
bool parse_stall(const char* text, PressureStall* stall);

// memory.events: how often so far.
struct GroupEvents {
  uint64_t low = 0;
  uint64_t high = 0;  // over memory.high, and slowed down
  uint64_t max = 0;   // at memory.max
  uint64_t oom = 0;
  uint64_t oom_kill = 0;

  constexpr bool operator==(const GroupEvents&) const = default;
};
bool parse_group_events(const char* text, GroupEvents* events);

// The bytes that `text` stands for in Base64; none where it is something else, or they do not fit.
std::optional<size_t> decode_base64(const char* text, std::span<char> bytes);

struct PressureSources {
  // The group that is watched; nullptr: none is known. Needed during open() only.
  const ControlGroup* group = nullptr;
  // Usage of a group of version 1 that is waited for, in either direction.
  std::span<const uint64_t> thresholds_bytes = {};
  // From the environment; nullptr where it is not set, and for a process with more rights than its
  // caller. Needed during open() only.
  const char* watch = nullptr;
  const char* watch_write = nullptr;
  const char* system_stall = "/proc/pressure/memory";
  // Triggers of our own.
  bool arms_triggers = false;
};

// Why a wait ended; nothing: the time is over, or the word has changed.
struct PressureEvents {
  bool woken = false;
  bool service = false;       // the service manager
  bool group_stall = false;   // over kStallTrigger in the group
  bool system_stall = false;  // in the system
  bool group_events = false;  // memory.events has changed
  bool threshold = false;     // usage is over a threshold, or under it again
  bool lost = false;          // a source has failed and is closed

  constexpr bool operator==(const PressureEvents&) const = default;
  constexpr void add(const PressureEvents& other) {
    woken = woken || other.woken;
    service = service || other.service;
    group_stall = group_stall || other.group_stall;
    system_stall = system_stall || other.system_stall;
    group_events = group_events || other.group_events;
    threshold = threshold || other.threshold;
    lost = lost || other.lost;
  }
};

class PressureWatch {
 public:
  // Of a second so much, and where the kernel lets only windows of two seconds: of those.
  static constexpr char kStallTrigger[] = "some 150000 1000000";
  static constexpr char kSlowStallTrigger[] = "some 300000 2000000";
  static constexpr size_t kThresholdsMax = 8;

  // What was open before is closed.
  void open(const PressureSources& sources);
  void close();

  // Sleeps while word == value, and nothing happens. May end early. What others than the service
  // manager say is left for the next wait where only it is heard.
  enum class Hears : uint8_t { kAll, kServiceOnly };
  PressureEvents wait(uint64_t timeout_ms, std::atomic<uint32_t>& word, uint32_t value,
                      Hears hears = Hears::kAll);
  // After the word was changed. False where the program has closed the eventfd: a wait that polls
  // it does not end by this.
  bool wake(std::atomic<uint32_t>& word) const;

  // False where it cannot be read.
  bool read_group_stall(PressureStall* stall);
  bool read_system_stall(PressureStall* stall);
  bool read_group_events(GroupEvents* events);

  // How many sources are waited for.
  size_t polled_count() const;

 private:
  // In this order in the set of poll.
  enum Source : uint8_t { kService, kGroupStall, kSystemStall, kGroupEvents, kSourceCount };
  struct Watched {
    KeptFile file;
    bool is_polled = false;
    bool is_stream = false;  // POLLIN, and what comes is read
  };

  void open_service(const char* path, const char* write);
  void open_stall(Source source, const char* path, bool arms);
  void open_group(const ControlGroup& group, bool arms);
  void open_thresholds(const ControlGroup& group, std::span<const uint64_t> thresholds_bytes);
  bool adopt_service(int fd, const char* write, bool is_stream, bool is_socket);
  void lose(Source source, PressureEvents* events);
  void handle(Source source, short happened, PressureEvents* events);
  bool drain(KeptFile* file);
  bool read_stall(Source source, PressureStall* stall);

  Watched watched_[kSourceCount] = {};
  EventCounter threshold_;
  EventCounter wake_;
  GroupEvents seen_ = {};
};

}  // namespace elasticpool
