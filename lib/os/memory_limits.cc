// See memory_limits.h.
#include "os/memory_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>

#include "base/bits.h"
#include "os/process.h"
#include "os/syscall.h"
#include "os/vm.h"

namespace elasticpool {
namespace {

constexpr GroupController kMemoryController = {"memory", {"/memory", nullptr}};

constexpr size_t kNumberTextBytes = 32;
// Its line of file cache is in the first third (version 2), or in the last (version 1: 900 bytes).
constexpr size_t kStatTextBytes = 1536;

const char* max_file(const ControlGroup& group) {
  return group.is_v2 ? "memory.max" : "memory.limit_in_bytes";
}
const char* usage_file(const ControlGroup& group) {
  return group.is_v2 ? "memory.current" : "memory.usage_in_bytes";
}

uint64_t saturating_multiply(uint64_t a, uint64_t b) {
  return a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

bool is_cache_wanted(uint64_t usage_bytes, uint64_t limit_bytes) {
  return usage_bytes >= limit_bytes - limit_bytes / 100 * (100 - MemoryLimits::kCachePercent);
}

bool probe_limit(const ControlGroup& group, const char* name, uint64_t* limit_bytes) {
  char text[kNumberTextBytes];
  return group.read(name, text, sizeof text) != 0 && parse_limit(text, limit_bytes);
}

bool probe_usage(const ControlGroup& group, uint64_t* usage_bytes) {
  char text[kNumberTextBytes];
  return group.read(usage_file(group), text, sizeof text) != 0 && parse_amount(text, usage_bytes);
}

uint64_t cache_of(const ControlGroup& group, const char* text) {
  uint64_t bytes = 0;
  find_number(text, group.is_v2 ? "inactive_file" : "total_inactive_file", &bytes);
  return bytes;
}

void keep_group_file(KeptFile* file, const ControlGroup& group, const char* name) {
  char path[kGroupFileBytesMax];
  if (group.file_name(name, path, sizeof path)) file->open(path, O_RDONLY);
}

// Of this process; kUnlimitedBytes where there is none.
uint64_t process_limit(int resource) {
  struct rlimit limit = {};
  const long result = system_call(SYS_prlimit64, 0, resource, 0, reinterpret_cast<long>(&limit));
  static_assert(RLIM_INFINITY == kUnlimitedBytes);
  return failed(result) ? kUnlimitedBytes : limit.rlim_cur;
}

void take_nearer(MemoryReading* nearest, const MemoryReading& reading) {
  if (reading.limit_bytes != kUnlimitedBytes && reading.is_nearer_than(*nearest)) {
    *nearest = reading;
  }
}

}  // namespace

void MemoryLimits::open_sources(const MemoryFiles& files, uint64_t option_limit_bytes) {
  close_sources();
  files_ = files;
  option_limit_bytes_ = option_limit_bytes;
  refresh();
}

void MemoryLimits::close_sources() {
  for (size_t i = 0; i < groups_.count; ++i) close_group(&groups_.list[i]);
  system_.kept.close();
  process_.kept.close();
  groups_.known = false;
  groups_.count = 0;
  system_ = {};
  process_ = {};
  option_limit_bytes_ = kUnlimitedBytes;
  nearest_ = kNoGroup;
  is_forked_ = false;
  is_forbidden_ = false;
}

// ---- Looking for sources

void MemoryLimits::close_group(Group* group) {
  group->max.close();
  group->high.close();
  group->usage.close();
  group->stat.close();
}

// Forgets what the program has closed, before new files come under the same numbers.
void MemoryLimits::verify_group(Group* group) {
  group->max.verified();
  group->high.verified();
  group->usage.verified();
  group->stat.verified();
}

ControlGroup MemoryLimits::folder_of(const Groups& groups, const Group& group) {
  ControlGroup folder = groups.own;
  folder.path = groups.path;
  folder.path_bytes = group.path_bytes;
  return folder;
}

// A free record, or that of the group with more room than this one and all others; or none.
MemoryLimits::Group* MemoryLimits::new_group(Groups* groups, uint64_t room_bytes) {
  if (groups->count < kGroupsMax) {
    Group* const next = &groups->list[groups->count++];
    *next = {};
    return next;
  }
  Group* const widest = std::max_element(
      groups->list, groups->list + kGroupsMax,
      [](const auto& a, const auto& b) { return a.first_room_bytes < b.first_room_bytes; });
  if (widest->first_room_bytes <= room_bytes) return nullptr;
  close_group(widest);
  *widest = {};
  return widest;
}

void MemoryLimits::probe_group(Groups* groups, const ControlGroup& folder) {
  uint64_t usage_bytes = 0;
  uint64_t max_bytes = kUnlimitedBytes;
  uint64_t high_bytes = kUnlimitedBytes;
  probe_limit(folder, max_file(folder), &max_bytes);
  if (folder.is_v2) probe_limit(folder, "memory.high", &high_bytes);
  const uint64_t limit_bytes = std::min(max_bytes, high_bytes);
  // What is used of no limit is asked only of the first: whether it is such a group at all.
  const bool is_limited = limit_bytes != kUnlimitedBytes;
  if ((is_limited || !groups->known) && !probe_usage(folder, &usage_bytes)) return;
  if (!groups->known) {
    groups->known = true;
    groups->own = folder;
  }
  if (!is_limited) return;
  const uint64_t room_bytes = saturating_subtract(limit_bytes, usage_bytes);
  Group* const group = new_group(groups, room_bytes);
  if (group == nullptr) return;
  group->first_room_bytes = room_bytes;
  group->path_bytes = folder.path_bytes;
  group->has_max = max_bytes != kUnlimitedBytes;
  group->has_high = high_bytes != kUnlimitedBytes;
  if (group->has_max) keep_group_file(&group->max, folder, max_file(folder));
  if (group->has_high) keep_group_file(&group->high, folder, "memory.high");
  keep_group_file(&group->usage, folder, usage_file(folder));
  keep_group_file(&group->stat, folder, "memory.stat");
  char text[kStatTextBytes];
  if (folder.read("memory.stat", text, sizeof text) != 0) {
    group->cache_bytes = cache_of(folder, text);
  }
}

bool MemoryLimits::visit(void* context, ControlGroup group) {
  auto* const groups = static_cast<Groups*>(context);
  group.fit("memory.usage_in_bytes");
  group.show_lower_end();
  memcpy(groups->path, group.path, group.path_bytes);
  group.path = groups->path;
  do {
    probe_group(groups, group);
  } while (group.ascend());
  return groups->known;
}

void MemoryLimits::refresh_groups() {
  for (size_t i = 0; i < groups_.count; ++i) verify_group(&groups_.list[i]);
  found_.known = false;
  found_.count = 0;
  visit_hierarchies(files_.groups, files_.mount, kMemoryController, visit, &found_);
  if (!found_.known) return;
  for (size_t i = 0; i < groups_.count; ++i) close_group(&groups_.list[i]);
  groups_ = found_;
  nearest_ = kNoGroup;
}

void MemoryLimits::drop_unreadable_groups() {
  size_t left = 0;
  for (size_t i = 0; i < groups_.count; ++i) {
    if (groups_.list[i].is_unreadable) {
      close_group(&groups_.list[i]);
    } else {
      groups_.list[left++] = groups_.list[i];
    }
  }
  groups_.count = left;
  nearest_ = kNoGroup;
}

void MemoryLimits::refresh_source(Source* source, const char* name) {
  const bool is_kept = !failed(source->kept.verified());
  KeptFile fresh;
  if (fresh.open(name, O_RDONLY) == 0) {
    source->kept.close();
    *source = {fresh, true};
  } else if (!is_kept) {
    char c[2];
    source->exists = read_small_file(name, c, sizeof c) != 0;
  }
}

void MemoryLimits::refresh() {
  if (is_forbidden_) return;
  refresh_groups();
  refresh_source(&system_, files_.system);
  refresh_source(&process_, files_.process);
}

// ---- Reading them

bool MemoryLimits::read_group_file(const Group& group, KeptFile* file, const char* name,
                                   std::span<char> text) {
  if (!file->is_open()) return folder_of(groups_, group).read(name, text.data(), text.size()) != 0;
  const long count = file->read(text.data(), text.size());
  is_forbidden_ = is_forbidden_ || is_forbidden(count);
  return !failed(count);
}

bool MemoryLimits::read_source(Source* source, const char* name, std::span<char> text) {
  if (!source->exists) return false;
  long count = -EBADF;
  if (source->kept.is_open()) {
    count = source->kept.read(text.data(), text.size());
    is_forbidden_ = is_forbidden(count);
    if (is_forbidden_) return false;
    // The program has closed it.
    if (count == -EBADF && source->kept.open(name, O_RDONLY) == 0) {
      count = source->kept.read(text.data(), text.size());
    }
  }
  return !failed(count) || read_small_file(name, text.data(), text.size()) != 0;
}

bool MemoryLimits::read_limit(Group* group, KeptFile* file, const char* name,
                              uint64_t* limit_bytes) {
  char text[kNumberTextBytes];
  return read_group_file(*group, file, name, text) && parse_limit(text, limit_bytes);
}

bool MemoryLimits::read_usage(Group* group, uint64_t least_limit_bytes, MemoryReading* reading) {
  const ControlGroup folder = folder_of(groups_, *group);
  char number[kNumberTextBytes];
  uint64_t usage_bytes = 0;
  if (!read_group_file(*group, &group->usage, usage_file(folder), number)) return false;
  if (!parse_amount(number, &usage_bytes)) return false;
  if (is_cache_wanted(usage_bytes, least_limit_bytes)) {
    char text[kStatTextBytes];
    const bool was_kept = group->stat.is_open();
    reading->file_cache_is_fresh = read_group_file(*group, &group->stat, "memory.stat", text);
    if (was_kept && !reading->file_cache_is_fresh) return false;
    group->cache_bytes = reading->file_cache_is_fresh ? cache_of(folder, text) : 0;
  }
  reading->file_cache_bytes = std::min(group->cache_bytes, usage_bytes);
  reading->used_bytes = usage_bytes - reading->file_cache_bytes;
  return true;
}

bool MemoryLimits::read_group(Group* group, MemoryReading* reading) {
  const ControlGroup folder = folder_of(groups_, *group);
  uint64_t max_bytes = kUnlimitedBytes;
  uint64_t high_bytes = kUnlimitedBytes;
  if (group->has_max && !read_limit(group, &group->max, max_file(folder), &max_bytes)) {
    return false;
  }
  if (group->has_high && !read_limit(group, &group->high, "memory.high", &high_bytes)) {
    return false;
  }
  const uint64_t least_bytes = std::min(max_bytes, high_bytes);
  if (least_bytes == kUnlimitedBytes) return true;
  reading->source = !folder.is_v2              ? MemorySource::kGroupV1
                    : max_bytes == least_bytes ? MemorySource::kGroupMax
                                               : MemorySource::kGroupHigh;
  reading->limit_bytes = least_bytes;
  return read_usage(group, least_bytes, reading);
}

// False where one of them could not be read: it is marked, and does not count.
bool MemoryLimits::read_groups(MemoryReading* nearest) {
  bool all_read = true;
  nearest_ = kNoGroup;
  for (size_t i = 0; i < groups_.count && !is_forbidden_; ++i) {
    MemoryReading reading;
    if (!read_group(&groups_.list[i], &reading)) {
      groups_.list[i].is_unreadable = true;
      all_read = false;
    } else if (reading.is_nearer_than(*nearest)) {
      *nearest = reading;
      nearest_ = i;
    }
  }
  return all_read;
}

void MemoryLimits::read_system(MemoryReading* nearest) {
  char text[256];
  uint64_t total_kb = 0;
  uint64_t available_kb = 0;
  if (!read_source(&system_, files_.system, text)) return;
  if (!find_number(text, "MemTotal:", &total_kb) || total_kb == 0) return;
  if (!find_number(text, "MemAvailable:", &available_kb)) return;
  MemoryReading reading;
  reading.source = MemorySource::kSystem;
  reading.limit_bytes = saturating_multiply(total_kb, 1024);
  reading.used_bytes = saturating_multiply(saturating_subtract(total_kb, available_kb), 1024);
  take_nearer(nearest, reading);
}

void MemoryLimits::read_process(MemoryReading* nearest) {
  // A filter that refuses the file may kill for the limits: the file is asked first.
  char text[128];
  const long kept = process_.kept.verified();
  is_forbidden_ = is_forbidden(kept);
  if (is_forbidden_) return;
  bool is_read = false;
  if (failed(kept)) {
    is_read = read_source(&process_, files_.process, text);
    if (!is_read) return;
  }
  const uint64_t as_bytes = process_limit(RLIMIT_AS);
  const uint64_t data_bytes = process_limit(RLIMIT_DATA);
  if (as_bytes == kUnlimitedBytes && data_bytes == kUnlimitedBytes) return;
  if (!is_read && !read_source(&process_, files_.process, text)) return;
  // size resident shared text lib data
  uint64_t pages[6] = {};
  const char* cursor = text;
  for (uint64_t& field : pages) {
    while (*cursor == ' ') ++cursor;
    if (!parse_decimal(cursor, &field)) return;
  }
  MemoryReading reading;
  reading.source = MemorySource::kRlimitAs;
  reading.limit_bytes = as_bytes;
  reading.used_bytes = saturating_multiply(pages[0], page_bytes());
  take_nearer(nearest, reading);
  reading.source = MemorySource::kRlimitData;
  reading.limit_bytes = data_bytes;
  reading.used_bytes = saturating_multiply(pages[5], page_bytes());
  take_nearer(nearest, reading);
}

MemoryReading MemoryLimits::read(uint64_t heap_bytes, uint64_t granted_bytes) {
  if (is_forked_) {
    is_forked_ = false;
    // That which was opened is the parent's.
    process_.kept.close();
    if (!is_forbidden_) refresh_source(&process_, files_.process);
  }
  MemoryReading nearest;
  if (!read_groups(&nearest) && !is_forbidden_) {
    refresh_groups();
    nearest = {};
    if (!read_groups(&nearest)) drop_unreadable_groups();
  }
  if (!is_forbidden_) read_system(&nearest);
  // By now it is the nearest of those that count a touch; they all would have it on top.
  if (counts_when_touched(nearest.source) && granted_bytes <= nearest.limit_bytes) {
    nearest.untouched_bytes = granted_bytes;
  }
  if (!is_forbidden_) read_process(&nearest);
  if (is_forbidden_) nearest = {};
  MemoryReading option;
  option.source = MemorySource::kOption;
  option.limit_bytes = option_limit_bytes_;
  option.used_bytes = heap_bytes;
  take_nearer(&nearest, option);
  return nearest;
}

bool MemoryLimits::nearest_group(ControlGroup* group) const {
  if (!groups_.known) return false;
  *group = groups_.own;
  group->path = groups_.path;
  if (nearest_ != kNoGroup) group->path_bytes = groups_.list[nearest_].path_bytes;
  return true;
}

}  // namespace elasticpool
