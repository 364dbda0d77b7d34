// Which limit on memory this process will meet first, and how much of it is used.
//
// Limits    of its control group and of all above it: memory.max and memory.high (version 2),
//           memory.limit_in_bytes (version 1); what the system has left (MemAvailable); RLIMIT_AS,
//           RLIMIT_DATA; a number that the user gives. The nearest is the one with the least room,
//           limit - expected; of those that are passed the one that is passed by most. Any of them
//           may be missing, and come or go while the process runs.
// Used      of a group: its usage without the file cache that the kernel takes back before it kills
//           (inactive_file). That costs another file: it is read where usage is at kCachePercent of
//           the limit or over. Below that the figure of the last look stands, of refresh() at the
//           latest: with it a program that only reads files does not seem to grow.
//           Of the system: MemTotal - MemAvailable. Of RLIMIT_AS and RLIMIT_DATA: what the process
//           has mapped, what of it is data and stack. Of the number: what the caller says.
// Expected  what is used, and what the heap was granted lately where use does not have it yet: a
//           group and the system count a page when it is touched first. What a process has mapped
//           counts from then on, touched or not; and what was granted is in the caller's number.
//           What was touched since it was granted counts twice. Where more was granted than the
//           limit holds, nobody will touch all of it: then none of it is expected.
// Following read() sees each change of a limit that was there at the last refresh(). A limit where
//           there was none, and a move to another group, are seen by refresh(): about once a
//           minute. A group that has gone, and a descriptor that the program has closed, lead to a
//           refresh() at once.
// Descriptors  os/kept_file.h: one for /proc/meminfo, one for /proc/self/statm, three to four for
//           each group with a limit. Where there is no high number left, none: each file is then
//           opened, read and closed, and no other thread should count on the least free number
//           meanwhile, as in open_sources() and refresh().
// Sandbox   only openat, fstat, pread64, read, fcntl, close and prlimit64 (of itself, to read).
//           Where one of the first fails as only a filter makes it fail, none is tried any more:
//           the user's number alone counts.
// After fork  the child calls after_fork_in_child(), before anything else; its figures are its own.
// Threads   one at a time: the caller's lock, taken over fork as well.
// Errors    what cannot be read, or is no number, limits nothing.
// Cost      read(): 4 microseconds with a group's limit: 0.6 for each file of a group, 2.4 for the
//           system, 0.7 for the process (1.7 where it has a limit); 7 more where file cache counts,
//           and then 2 KiB of stack. refresh(): 4 to 6 opened files for a group, 20 to 60
//           microseconds, 4 KiB of stack. 4 KiB of state; nothing is allocated.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "os/control_group.h"
#include "os/kept_file.h"
#include "os/kernel_text.h"

namespace elasticpool {

// As enum ep_pressure_source.
enum class MemorySource : uint8_t {
  kNone,
  kGroupMax,
  kGroupHigh,
  kGroupV1,
  kSystem,
  kRlimitAs,
  kRlimitData,
  kOption,
};

constexpr bool is_group(MemorySource source) {
  return source == MemorySource::kGroupMax || source == MemorySource::kGroupHigh ||
         source == MemorySource::kGroupV1;
}

// A page, and not when it is mapped or handed out.
constexpr bool counts_when_touched(MemorySource source) {
  return is_group(source) || source == MemorySource::kSystem;
}

// used_bytes may be above limit_bytes, and limit_bytes may be 0: then everything is too much.
struct MemoryReading {
  MemorySource source = MemorySource::kNone;
  uint64_t limit_bytes = 0;
  uint64_t used_bytes = 0;
  // Expected on top of that.
  uint64_t untouched_bytes = 0;
  // Taken off what the group's usage is; as of this reading, or of an earlier one.
  uint64_t file_cache_bytes = 0;
  bool file_cache_is_fresh = false;

  constexpr uint64_t expected_bytes() const {
    return used_bytes + std::min(untouched_bytes, UINT64_MAX - used_bytes);
  }
  constexpr uint64_t room_bytes() const {
    return limit_bytes > expected_bytes() ? limit_bytes - expected_bytes() : 0;
  }
  constexpr bool is_nearer_than(const MemoryReading& other) const;
};

constexpr bool MemoryReading::is_nearer_than(const MemoryReading& other) const {
  if (source == MemorySource::kNone) return false;
  if (other.source == MemorySource::kNone) return true;
  if (room_bytes() != other.room_bytes()) return room_bytes() < other.room_bytes();
  if (room_bytes() > 0) return false;
  return expected_bytes() - limit_bytes > other.expected_bytes() - other.limit_bytes;
}

// Where the kernel says it, for tests: elsewhere. The names stay where they are.
struct MemoryFiles {
  const char* groups = "/proc/self/cgroup";
  const char* mount = "/sys/fs/cgroup";
  const char* system = "/proc/meminfo";
  const char* process = "/proc/self/statm";
};

class MemoryLimits {
 public:
  // Of a group's limit: from here on its file cache is looked at each time.
  static constexpr uint64_t kCachePercent = 60;

  // Once, at start. `option_limit_bytes`: kUnlimitedBytes where the user gives none.
  void open_sources(const MemoryFiles& files, uint64_t option_limit_bytes);

  // The nearest limit; source kNone where there is none. `heap_bytes`: what the user's number
  // counts. `granted_bytes`: of it, what may not have been touched yet.
  MemoryReading read(uint64_t heap_bytes, uint64_t granted_bytes = 0);

  // Looks for groups and files anew. What cannot be found any more, while it can still be read
  // (after chroot), stays.
  void refresh();

  void after_fork_in_child() { is_forked_ = true; }

  // The group whose limit was the nearest of all groups' at the last read(); where none has a
  // limit, that of the process. Its path ends with refresh(). False where no group is known.
  bool nearest_group(ControlGroup* group) const;

  // Closes what is open: as before open_sources().
  void close_sources();

 private:
  static constexpr size_t kGroupsMax = 8;
  static constexpr size_t kNoGroup = SIZE_MAX;

  // One with a limit.
  struct Group {
    KeptFile max;  // version 1: limit_in_bytes
    KeptFile high;
    KeptFile usage;
    KeptFile stat;
    uint64_t cache_bytes = 0;
    uint64_t first_room_bytes = 0;  // when it was found
    size_t path_bytes = 0;
    bool has_max = false;
    bool has_high = false;
    bool is_unreadable = false;
  };
  // Those of the one hierarchy that has the controller.
  struct Groups {
    bool known = false;
    ControlGroup own = {};  // its path is `path`
    char path[kGroupFileBytesMax] = {};
    size_t count = 0;
    Group list[kGroupsMax] = {};
  };
  // One of /proc.
  struct Source {
    KeptFile kept;
    bool exists = false;
  };

  static bool visit(void* context, ControlGroup group);
  static void probe_group(Groups* groups, const ControlGroup& group);
  static Group* new_group(Groups* groups, uint64_t room_bytes);
  static void verify_group(Group* group);
  static void close_group(Group* group);
  static ControlGroup folder_of(const Groups& groups, const Group& group);
  void refresh_groups();
  void drop_unreadable_groups();
  void refresh_source(Source* source, const char* name);

  bool read_groups(MemoryReading* nearest);
  bool read_group(Group* group, MemoryReading* reading);
  bool read_usage(Group* group, uint64_t least_limit_bytes, MemoryReading* reading);
  bool read_limit(Group* group, KeptFile* file, const char* name, uint64_t* limit_bytes);
  bool read_group_file(const Group& group, KeptFile* file, const char* name, std::span<char> text);
  bool read_source(Source* source, const char* name, std::span<char> text);
  void read_system(MemoryReading* nearest);
  void read_process(MemoryReading* nearest);

  MemoryFiles files_ = {};
  uint64_t option_limit_bytes_ = kUnlimitedBytes;
  Groups groups_ = {};
  Groups found_ = {};  // while they are looked for: too much for a small stack
  Source system_ = {};
  Source process_ = {};
  size_t nearest_ = kNoGroup;
  bool is_forked_ = false;
  bool is_forbidden_ = false;
};

}  // namespace elasticpool
