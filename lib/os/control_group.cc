// See control_group.h.
#include "os/control_group.h"

#include <fcntl.h>

#include <cstring>

#include "base/text_writer.h"
#include "os/process.h"
#include "os/syscall.h"

namespace elasticpool {
namespace {

// A file a line at a time. Of a line that is longer than the buffer the names that fit.
class GroupLines {
 public:
  explicit GroupLines(const char* file)
      : fd_(system_call(SYS_openat, AT_FDCWD, reinterpret_cast<long>(file),
                        O_RDONLY | O_CLOEXEC | O_NOCTTY)) {}
  ~GroupLines() {
    if (is_open()) system_call(SYS_close, fd_);
  }
  GroupLines(const GroupLines&) = delete;
  GroupLines& operator=(const GroupLines&) = delete;

  bool is_open() const { return !failed(fd_); }

  // The next line, without its end. False where there is none.
  bool next(const char** line, size_t* bytes) {
    if (!is_open()) return false;
    memmove(text_, text_ + begun_, used_ - begun_);
    used_ -= begun_;
    begun_ = 0;
    fill();
    if (used_ == 0) return false;
    *line = text_;
    const void* const end = memchr(text_, '\n', used_);
    if (end != nullptr) {
      *bytes = static_cast<size_t>(static_cast<const char*>(end) - text_);
      begun_ = *bytes + 1;
      return true;
    }
    *bytes = used_;
    if (used_ == sizeof text_) {
      // Half a name may be another group's. The rest of the line is no line.
      while (*bytes > 0 && text_[*bytes - 1] != '/') --*bytes;
      skip_line();
    }
    begun_ = used_;
    return true;
  }

 private:
  void fill() {
    while (used_ < sizeof text_) {
      const long count = system_call(SYS_read, fd_, reinterpret_cast<long>(text_ + used_),
                                     static_cast<long>(sizeof text_ - used_));
      if (failed(count) || count == 0) return;
      used_ += static_cast<size_t>(count);
    }
  }

  void skip_line() {
    char c = 0;
    while (c != '\n' && system_call(SYS_read, fd_, reinterpret_cast<long>(&c), 1) == 1) {
    }
  }

  long fd_;
  size_t begun_ = 0;  // where the next line begins in what is used
  size_t used_ = 0;
  char text_[1024];
};

bool names_controller(const char* names, size_t bytes, const char* wanted) {
  const size_t wanted_bytes = strlen(wanted);
  for (size_t at = 0; at < bytes;) {
    size_t end = at;
    while (end < bytes && names[end] != ',') ++end;
    if (end - at == wanted_bytes && memcmp(names + at, wanted, wanted_bytes) == 0) return true;
    at = end + 1;
  }
  return false;
}

void drop_slashes(ControlGroup& group) {
  while (group.path_bytes > 0 && group.path[group.path_bytes - 1] == '/') --group.path_bytes;
}

// "4:cpu,cpuacct:/path" (version 1), or "0::/path" (version 2).
struct GroupLine {
  const char* names = nullptr;
  size_t names_bytes = 0;
  const char* path = nullptr;
  size_t path_bytes = 0;

  bool parse(const char* line, size_t bytes) {
    const auto* first = static_cast<const char*>(memchr(line, ':', bytes));
    if (first == nullptr) return false;
    names = first + 1;
    const char* const end = line + bytes;
    const auto* second =
        static_cast<const char*>(memchr(names, ':', static_cast<size_t>(end - names)));
    if (second == nullptr) return false;
    names_bytes = static_cast<size_t>(second - names);
    path = second + 1;
    path_bytes = static_cast<size_t>(end - path);
    return true;
  }
};

bool is_folder(const char* name) {
  const long fd = system_call(SYS_openat, AT_FDCWD, reinterpret_cast<long>(name),
                              O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (failed(fd)) return false;
  system_call(SYS_close, fd);
  return true;
}

}  // namespace

bool ControlGroup::ascend() {
  if (path_bytes == 0) return false;
  while (path_bytes > 0 && path[path_bytes - 1] != '/') --path_bytes;
  drop_slashes(*this);
  return true;
}

void ControlGroup::fit(const char* longest_name) {
  char file[kGroupFileBytesMax];
  while (!file_name(longest_name, file, sizeof file) && ascend()) {
  }
}

void ControlGroup::show_lower_end() {
  char folder[kGroupFileBytesMax];
  while (path_bytes > 0) {
    if (file_name("", folder, sizeof folder) && is_folder(folder)) return;
    size_t first_bytes = 1;
    while (first_bytes < path_bytes && path[first_bytes] != '/') ++first_bytes;
    path += first_bytes;
    path_bytes -= first_bytes;
  }
}

bool ControlGroup::file_name(const char* name, char* file, size_t capacity) const {
  TextWriter out(file, capacity - 1);
  out.text(mount).text(hierarchy).bytes(path, path_bytes).text("/").text(name);
  file[out.size()] = '\0';
  return !out.truncated();
}

size_t ControlGroup::read(const char* name, char* text, size_t capacity) const {
  char file[kGroupFileBytesMax];
  return file_name(name, file, sizeof file) ? read_small_file(file, text, capacity) : 0;
}

bool visit_hierarchies(const char* groups_file, const char* mount,
                       const GroupController& controller, VisitHierarchy visit, void* context) {
  GroupLines lines(groups_file);
  const char* text = nullptr;
  size_t bytes = 0;
  while (lines.next(&text, &bytes)) {
    GroupLine line;
    if (!line.parse(text, bytes)) continue;
    const bool is_v2 = line.names_bytes == 0;
    if (!is_v2 && !names_controller(line.names, line.names_bytes, controller.name)) continue;
    const char* const folders_v2[2] = {"", "/unified"};
    for (const char* folder : is_v2 ? folders_v2 : controller.folders) {
      if (folder == nullptr) continue;
      ControlGroup group = {mount, folder, line.path, line.path_bytes, is_v2};
      drop_slashes(group);
      if (visit(context, group)) return true;
    }
  }
  return lines.is_open();
}

}  // namespace elasticpool
