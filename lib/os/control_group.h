// The folders of the control groups that this process is in.
//
// What it is  from /proc/self/cgroup and the place where groups are mounted to the group of this
//             process and all above it, in each hierarchy that may have a controller: version 1
//             lists "memory", version 2 is the line "0::", under the mount itself or, beside
//             version 1, in its folder "unified".
// Container   the mount may show only the lower end of the path, with the container's own group at
//             its top: the groups above are not there, and limit nothing that can be seen.
//             show_lower_end() finds the folder of a group whose path begins above the mount.
// Threads     any.
// Errors      a file that is not there is unread; no line, no hierarchy. It makes no system call
//             but those that read a file: a sandbox may kill for others.
// Cost        visit_hierarchies(): a small file, some 10 microseconds; 1 KiB of stack.
#pragma once

#include <cstddef>

namespace elasticpool {

// The longest name of a file that is opened here; groups deeper than that are passed over.
inline constexpr size_t kGroupFileBytesMax = 512;

// "MOUNT/HIERARCHY/PATH" with the first `path_bytes` of the path.
struct ControlGroup {
  const char* mount = "";
  const char* hierarchy = "";
  const char* path = "";  // without a / at its end; ends with path_bytes, not with a NUL
  size_t path_bytes = 0;
  bool is_v2 = false;

  // To the group above. False, and nothing changes, at the top of what is mounted.
  bool ascend();
  // To the first group above whose file names fit kGroupFileBytesMax.
  void fit(const char* longest_name);
  // Drops the first names of the path until there is a folder of that name.
  void show_lower_end();
  // The name of one of its files; false where it does not fit.
  bool file_name(const char* name, char* file, size_t capacity) const;
  // The length; 0 where there is no such file, or its name is longer than any of ours.
  size_t read(const char* name, char* text, size_t capacity) const;
};

// Where a controller of version 1 is mounted: "/cpu", and maybe together with another one.
struct GroupController {
  const char* name;
  const char* folders[2];  // nullptr: no second one
};

// What is called for each hierarchy that may have the controller, with the group of this process.
// The text of its path is gone when it returns. True: no more are wanted.
using VisitHierarchy = bool (*)(void* context, ControlGroup group);

// `groups_file`: /proc/self/cgroup. False where it cannot be read.
bool visit_hierarchies(const char* groups_file, const char* mount,
                       const GroupController& controller, VisitHierarchy visit, void* context);

}  // namespace elasticpool
