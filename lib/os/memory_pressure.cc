// See memory_pressure.h.
#include "os/memory_pressure.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include <algorithm>
#include <cstring>

#include "base/text_writer.h"
#include "os/clock.h"
#include "os/kernel_text.h"
#include "os/syscall.h"

namespace elasticpool {
namespace {

constexpr size_t kStallTextBytes = 256;
constexpr size_t kEventsTextBytes = 256;
// What a service manager asks to be written: a trigger, with a NUL.
constexpr size_t kWriteBytesMax = 256;

// Behind `name` where it stands before the end of the line; nullptr where it does not.
const char* behind(const char* line, const char* name) {
  const char* const found = strstr(line, name);
  if (found == nullptr || found > line + strcspn(line, "\n")) return nullptr;
  return found + strlen(name);
}

// "some avg10=1.25 avg60=... total=7"
bool parse_stall_line(const char* line, uint64_t* avg10_permyriad, uint64_t* total_us) {
  const char* share = behind(line, " avg10=");
  const char* total = behind(line, " total=");
  uint64_t percent = 0;
  if (share == nullptr || total == nullptr || !parse_decimal(share, &percent)) return false;
  if (percent > 100 || share[0] != '.' || !is_digit(share[1]) || !is_digit(share[2])) return false;
  if (!parse_decimal(total, total_us)) return false;
  *avg10_permyriad = percent * 100 + static_cast<uint64_t>(share[1] - '0') * 10 +
                     static_cast<uint64_t>(share[2] - '0');
  return true;
}

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

long open_plain(const char* path, int flags) {
  return system_call(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path),
                     flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

// All of it at once, as the kernel's files want it.
bool write_once(int fd, const char* bytes, size_t count) {
  return system_call(SYS_write, fd, reinterpret_cast<long>(bytes), static_cast<long>(count)) ==
         static_cast<long>(count);
}

// A connected stream; -errno where nobody listens.
long connect_stream(const char* path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const size_t bytes = strlen(path);
  if (bytes >= sizeof address.sun_path) return -ENAMETOOLONG;
  memcpy(address.sun_path, path, bytes);
  const long fd = system_call(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (failed(fd)) return fd;
  const long result =
      system_call(SYS_connect, fd, reinterpret_cast<long>(&address), sizeof address);
  if (!failed(result)) return fd;
  system_call(SYS_close, fd);
  return result;
}

long wait_for(pollfd* set, size_t count, uint64_t timeout_ms) {
  const int limited_ms = static_cast<int>(std::min<uint64_t>(timeout_ms, INT_MAX));
#if defined(SYS_poll)
  // More filters know it than know ppoll.
  return system_call(SYS_poll, reinterpret_cast<long>(set), static_cast<long>(count), limited_ms);
#else
  const timespec time = {limited_ms / 1000, limited_ms % 1000 * 1'000'000L};
  return system_call(SYS_ppoll, reinterpret_cast<long>(set), static_cast<long>(count),
                     reinterpret_cast<long>(&time), 0, 0);
#endif
}

}  // namespace

// ---- Texts

bool parse_stall(const char* text, PressureStall* stall) {
  PressureStall parsed;
  bool known = false;
  for (const char* line = text; *line != '\0';) {
    if (strncmp(line, "some", 4) == 0) {
      known = parse_stall_line(line, &parsed.some_avg10_permyriad, &parsed.some_total_us);
    } else if (strncmp(line, "full", 4) == 0) {
      if (!parse_stall_line(line, &parsed.full_avg10_permyriad, &parsed.full_total_us)) {
        return false;
      }
    }
    line += strcspn(line, "\n");
    if (*line == '\n') ++line;
  }
  if (known) *stall = parsed;
  return known;
}

bool parse_group_events(const char* text, GroupEvents* events) {
  GroupEvents parsed;
  if (!find_number(text, "max", &parsed.max)) return false;
  find_number(text, "low", &parsed.low);
  find_number(text, "high", &parsed.high);
  find_number(text, "oom", &parsed.oom);
  find_number(text, "oom_kill", &parsed.oom_kill);
  *events = parsed;
  return true;
}

std::optional<size_t> decode_base64(const char* text, std::span<char> bytes) {
  size_t used = 0;
  unsigned pending = 0;
  size_t digits = 0;
  for (; base64_digit(*text) >= 0; ++text, ++digits) {
    pending = pending << 6 | static_cast<unsigned>(base64_digit(*text));
    // The first digit of four begins a byte, each other ends one.
    if (digits % 4 == 0) continue;
    if (used == bytes.size()) return std::nullopt;
    bytes[used++] = static_cast<char>(pending >> (6 - 2 * (digits % 4)) & 0xff);
  }
  const size_t wanted_pads = (4 - digits % 4) % 4;
  size_t pads = 0;
  for (; text[pads] == '='; ++pads) {
  }
  if (digits % 4 == 1 || text[pads] != '\0') return std::nullopt;
  if (pads != 0 && pads != wanted_pads) return std::nullopt;
  return used;
}

// ---- Opening

bool PressureWatch::adopt_service(int fd, const char* write, bool is_stream, bool is_socket) {
  Watched& watched = watched_[kService];
  char bytes[kWriteBytesMax];
  bool is_fine = true;
  if (write != nullptr) {
    const std::optional<size_t> count = decode_base64(write, bytes);
    is_fine = count.has_value();
    if (is_fine && *count > 0) {
      // Who listens may have gone: no SIGPIPE for that.
      is_fine = is_socket ? system_call(SYS_sendto, fd, reinterpret_cast<long>(bytes),
                                        static_cast<long>(*count), MSG_NOSIGNAL, 0,
                                        0) == static_cast<long>(*count)
                          : write_once(fd, bytes, *count);
    }
  }
  if (!is_fine) {
    system_call(SYS_close, fd);
    return false;
  }
  watched.is_stream = is_stream;
  watched.is_polled = watched.file.adopt(fd) == 0;
  return watched.is_polled;
}

void PressureWatch::open_service(const char* path, const char* write) {
  // What it is, before anything is opened for writing: a device might act.
  const long looked = open_plain(path, O_PATH);
  if (failed(looked)) return;
  struct stat status = {};
  const long known = system_call(SYS_fstat, looked, reinterpret_cast<long>(&status));
  system_call(SYS_close, looked);
  if (failed(known)) return;
  long fd = -ENOTSUP;
  if (S_ISSOCK(status.st_mode)) {
    fd = connect_stream(path);
  } else if (S_ISREG(status.st_mode)) {
    fd = open_plain(path, write != nullptr ? O_RDWR : O_RDONLY);
  } else if (S_ISFIFO(status.st_mode)) {
    // With a writer of our own it never says that all have gone.
    fd = open_plain(path, O_RDWR);
    if (failed(fd) && write == nullptr) fd = open_plain(path, O_RDONLY);
  }
  if (failed(fd)) return;
  adopt_service(static_cast<int>(fd), write, !S_ISREG(status.st_mode), S_ISSOCK(status.st_mode));
}

void PressureWatch::open_stall(Source source, const char* path, bool arms) {
  Watched& watched = watched_[source];
  const long fd = arms ? open_plain(path, O_RDWR) : -EACCES;
  if (failed(fd)) {
    watched.file.open(path, O_RDONLY);
    return;
  }
  const int trigger = static_cast<int>(fd);
  const bool is_armed = write_once(trigger, kStallTrigger, sizeof kStallTrigger) ||
                        write_once(trigger, kSlowStallTrigger, sizeof kSlowStallTrigger);
  watched.is_polled = watched.file.adopt(trigger) == 0 && is_armed;
}

void PressureWatch::open_group(const ControlGroup& group, bool arms) {
  char path[kGroupFileBytesMax];
  if (!group.is_v2) return;
  if (group.file_name("memory.pressure", path, sizeof path)) open_stall(kGroupStall, path, arms);
  Watched& events = watched_[kGroupEvents];
  if (!group.file_name("memory.events", path, sizeof path)) return;
  if (events.file.open(path, O_RDONLY) != 0) return;
  // Poll says what is new since it was read.
  events.is_polled = read_group_events(&seen_);
}

void PressureWatch::open_thresholds(const ControlGroup& group,
                                    std::span<const uint64_t> thresholds_bytes) {
  char path[kGroupFileBytesMax];
  if (group.is_v2 || thresholds_bytes.empty()) return;
  if (!group.file_name("memory.usage_in_bytes", path, sizeof path)) return;
  const long usage = open_plain(path, O_RDONLY);
  if (failed(usage)) return;
  group.file_name("cgroup.event_control", path, sizeof path);
  const long control = open_plain(path, O_WRONLY);
  if (!failed(control)) {
    bool is_armed = false;
    if (threshold_.open()) {
      const auto event = static_cast<uint64_t>(threshold_.verified());
      for (const uint64_t bytes :
           thresholds_bytes.first(std::min(thresholds_bytes.size(), kThresholdsMax))) {
        char text[96];
        TextWriter out(text, sizeof text);
        out.decimal(event).text(" ").decimal(static_cast<uint64_t>(usage)).text(" ").decimal(bytes);
        is_armed = write_once(static_cast<int>(control), text, out.size()) || is_armed;
      }
    }
    if (!is_armed) threshold_.close();
    system_call(SYS_close, control);
  }
  // The kernel needs neither any more.
  system_call(SYS_close, usage);
}

void PressureWatch::open(const PressureSources& sources) {
  close();
  const bool is_asked = sources.watch != nullptr && sources.watch[0] != '\0';
  const bool is_refused = is_asked && strcmp(sources.watch, "/dev/null") == 0;
  if (is_asked && !is_refused) open_service(sources.watch, sources.watch_write);
  // The service manager's is a trigger already.
  const bool arms = sources.arms_triggers && !is_refused && !watched_[kService].is_polled;
  if (sources.group != nullptr) open_group(*sources.group, arms);
  open_stall(kSystemStall, sources.system_stall, arms);
  if (is_refused) {
    watched_[kGroupEvents].is_polled = false;
  } else if (sources.group != nullptr) {
    open_thresholds(*sources.group, sources.thresholds_bytes);
  }
  if (polled_count() > 0) wake_.open();
}

void PressureWatch::close() {
  for (Watched& watched : watched_) {
    watched.file.close();
    watched = {};
  }
  threshold_.close();
  wake_.close();
  seen_ = {};
}

// ---- Reading

bool PressureWatch::read_stall(Source source, PressureStall* stall) {
  char text[kStallTextBytes];
  return !failed(watched_[source].file.read(text, sizeof text)) && parse_stall(text, stall);
}

bool PressureWatch::read_group_stall(PressureStall* stall) {
  return read_stall(kGroupStall, stall);
}

bool PressureWatch::read_system_stall(PressureStall* stall) {
  return read_stall(kSystemStall, stall);
}

bool PressureWatch::read_group_events(GroupEvents* events) {
  char text[kEventsTextBytes];
  return !failed(watched_[kGroupEvents].file.read(text, sizeof text)) &&
         parse_group_events(text, events);
}

// ---- Waiting

size_t PressureWatch::polled_count() const {
  size_t count = threshold_.is_open() ? 1 : 0;
  for (const Watched& watched : watched_) count += watched.is_polled ? 1 : 0;
  return count;
}

void PressureWatch::lose(Source source, PressureEvents* events) {
  watched_[source].file.close();
  watched_[source] = {};
  events->lost = true;
}

// Whether there may be more: false at the end of a stream.
bool PressureWatch::drain(KeptFile* file) {
  const long fd = file->verified();
  char bytes[256];
  long count = 0;
  do {
    if (failed(fd)) return false;
    count = system_call(SYS_read, fd, reinterpret_cast<long>(bytes), sizeof bytes);
  } while (count == static_cast<long>(sizeof bytes) || count == -EINTR);
  return count > 0 || count == -EAGAIN;
}

void PressureWatch::handle(Source source, short happened, PressureEvents* events) {
  Watched& watched = watched_[source];
  if (source == kGroupEvents) {
    // The kernel says POLLERR with each change; whether the group is there still, reading says.
    GroupEvents now;
    if (!read_group_events(&now)) {
      lose(source, events);
    } else if (now != seen_) {
      seen_ = now;
      events->group_events = true;
    }
    return;
  }
  if (watched.is_stream) {
    events->service = events->service || (happened & POLLIN) != 0;
    if ((happened & POLLIN) == 0 || !drain(&watched.file)) lose(source, events);
    return;
  }
  if ((happened & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
    lose(source, events);  // no trigger, or no group any more
    return;
  }
  bool* const fired[] = {&events->service, &events->group_stall, &events->system_stall};
  *fired[source] = true;
}

PressureEvents PressureWatch::wait(uint64_t timeout_ms, std::atomic<uint32_t>& word, uint32_t value,
                                   Hears hears) {
  PressureEvents events;
  pollfd set[kSourceCount + 2];
  for (size_t i = 0; i < kSourceCount; ++i) {
    Watched& watched = watched_[i];
    const long fd = watched.is_polled ? watched.file.verified() : -1;
    if (watched.is_polled && failed(fd)) lose(static_cast<Source>(i), &events);
    // A negative one is passed over.
    const bool is_heard = hears == Hears::kAll || i == kService;
    set[i] = {is_heard ? static_cast<int>(fd) : -1,
              watched.is_stream ? short{POLLIN} : short{POLLPRI}, 0};
  }
  pollfd& threshold = set[kSourceCount];
  pollfd& woken = set[kSourceCount + 1];
  const bool had_threshold = threshold_.is_open();
  const bool had_wake = wake_.is_open();
  threshold = {static_cast<int>(threshold_.verified()), POLLIN, 0};
  woken = {static_cast<int>(wake_.verified()), POLLIN, 0};
  events.lost = events.lost || (had_threshold && threshold.fd < 0) || (had_wake && woken.fd < 0);
  if (events.lost) return events;
  if (hears == Hears::kServiceOnly) threshold.fd = -1;
  // Without an eventfd one may look, but not sleep on it.
  if ((woken.fd < 0 && timeout_ms != 0) || polled_count() == 0) {
    if (timeout_ms != 0) sleep_ms(timeout_ms, word, value);
    return events;
  }
  // Changed before the eventfd was there to say so.
  if (word.load(std::memory_order_relaxed) != value) return events;
  const long happened = wait_for(set, kSourceCount + 2, timeout_ms);
  if (failed(happened)) {
    // Never without a pause.
    if (happened != -EINTR) sleep_ms(timeout_ms, word, value);
    return events;
  }
  for (size_t i = 0; i < kSourceCount; ++i) {
    if (set[i].revents != 0) handle(static_cast<Source>(i), set[i].revents, &events);
  }
  events.threshold = threshold.revents != 0;
  if (events.threshold) threshold_.drain();
  events.woken = woken.revents != 0;
  if (events.woken) wake_.drain();
  return events;
}

bool PressureWatch::wake(std::atomic<uint32_t>& word) const {
  const bool is_polled = wake_.is_open();
  const bool is_heard = wake_.signal();
  wake_sleeper(word);
  return is_heard || !is_polled;
}

}  // namespace elasticpool
