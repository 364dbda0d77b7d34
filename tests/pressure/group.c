// Control groups as files: see group.h.
#include "group.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// A killed process is gone from its group only when the kernel has taken it apart.
enum { kRemoveAttempts = 3000, kRemovePauseUs = 10000 };

static char g_error[PATH_MAX + 256];

const char* group_error(void) { return g_error; }

__attribute__((format(printf, 1, 2))) static bool failed(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(g_error, sizeof g_error, format, arguments);
  va_end(arguments);
  return false;
}

static bool path_of(char* path, const char* folder, const char* file) {
  const int length = snprintf(path, PATH_MAX, "%s/%s", folder, file);
  if (length < PATH_MAX) return true;
  errno = ENAMETOOLONG;
  return false;
}

static bool exists(const Group* group, const char* file) {
  char path[PATH_MAX];
  return path_of(path, group->folder, file) && access(path, F_OK) == 0;
}

static bool write_text(const char* folder, const char* file, const char* text) {
  char path[PATH_MAX];
  if (!path_of(path, folder, file)) return failed("%s: the path is too long", file);
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return failed("%s: %s", path, strerror(errno));
  const ssize_t length = write(fd, text, strlen(text));
  const int error = errno;
  close(fd);
  if (length >= 0) return true;
  errno = error;
  return failed("%s refuses \"%s\": %s", path, text, strerror(error));
}

static bool read_text(const char* folder, const char* file, char* text, size_t capacity) {
  char path[PATH_MAX];
  if (!path_of(path, folder, file)) return failed("%s: the path is too long", file);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed("%s: %s", path, strerror(errno));
  size_t length = 0;
  ssize_t got = 0;
  while (length < capacity - 1 && (got = read(fd, text + length, capacity - 1 - length)) > 0) {
    length += (size_t)got;
  }
  close(fd);
  text[length] = '\0';
  return got >= 0 || failed("%s: %s", path, strerror(errno));
}

static bool has_word(const char* list, const char* word, const char* separators) {
  const size_t length = strlen(word);
  for (const char* at = list; (at = strstr(at, word)) != NULL; at += length) {
    const bool begins = at == list || strchr(separators, at[-1]) != NULL;
    if (begins && (at[length] == '\0' || strchr(separators, at[length]) != NULL)) return true;
  }
  return false;
}

// --- Where we are ---

// One line of /proc/self/cgroup is "number:controllers:path"; that of version 2 is "0::path".
static bool own_path(int version, char* path) {
  char text[16384];
  if (!read_text("/proc/self", "cgroup", text, sizeof text)) return false;
  for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
    char* controllers = strchr(line, ':');
    char* name = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (name == NULL) continue;
    *name = '\0';
    ++controllers;
    const bool is_ours =
        version == 1 ? has_word(controllers, "memory", ",") : strncmp(line, "0:", 2) == 0;
    if (!is_ours) continue;
    snprintf(path, PATH_MAX, "%s", name + 1);
    return true;
  }
  return failed("/proc/self/cgroup names no group of version %d for memory", version);
}

// One line of mountinfo: id, parent, device, root, mount point, options ..., "-", type, source,
// options of the file system.
static bool find_mount(int version, char* root, char* mount) {
  char text[65536];
  if (!read_text("/proc/self", "mountinfo", text, sizeof text)) return false;
  for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
    char type[64], options[1024];
    const char* tail = strstr(line, " - ");
    if (tail == NULL || sscanf(tail, " - %63s %*s %1023s", type, options) != 2) continue;
    if (strcmp(type, version == 1 ? "cgroup" : "cgroup2") != 0) continue;
    if (version == 1 && !has_word(options, "memory", ",")) continue;
    if (sscanf(line, "%*s %*s %*s %4095s %4095s", root, mount) == 2) return true;
  }
  return failed("no control groups of version %d with memory are mounted", version);
}

// In a container the mount shows only a part of the tree.
bool group_own_folder(int version, char* folder, size_t* mount_length) {
  char root[PATH_MAX], mount[PATH_MAX], path[PATH_MAX];
  if (!find_mount(version, root, mount) || !own_path(version, path)) return false;
  const size_t root_length = strcmp(root, "/") == 0 ? 0 : strlen(root);
  const bool is_below = strncmp(path, root, root_length) == 0;
  const char* below = is_below ? path + root_length : "";
  *mount_length = strlen(mount);
  if (snprintf(folder, PATH_MAX, "%s%s", mount, below) >= PATH_MAX || access(folder, F_OK) != 0) {
    snprintf(folder, PATH_MAX, "%s", mount);
  }
  for (size_t end = strlen(folder); end > *mount_length && folder[end - 1] == '/';) {
    folder[--end] = '\0';
  }
  return true;
}

// --- Making and limiting ---

bool group_make(Group* group, const char* parent, int version, const char* name) {
  group->version = version;
  if (!path_of(group->folder, parent, name)) return failed("%s: the path is too long", name);
  if (mkdir(group->folder, 0755) != 0) {
    return failed("cannot make the group %s: %s", group->folder, strerror(errno));
  }
  return true;
}

bool group_allow_children(const Group* group) {
  return group->version == 1 || write_text(group->folder, "cgroup.subtree_control", "+memory");
}

static bool has_memory_files(const Group* group) {
  return exists(group, group->version == 1 ? "memory.limit_in_bytes" : "memory.max");
}

static bool try_place(GroupPlace* place, const char* name) {
  Group trial;
  if (!group_make(&trial, place->parent, place->version, name)) return false;
  place->enabled_in_parent = false;
  if (place->version == 2 && !has_memory_files(&trial)) {
    place->enabled_in_parent = write_text(place->parent, "cgroup.subtree_control", "+memory");
  }
  const bool good = has_memory_files(&trial) && group_set_limit(&trial, (uint64_t)1 << 30);
  if (rmdir(trial.folder) != 0) return failed("%s: %s", trial.folder, strerror(errno));
  if (!good) group_leave_place(place);
  return good || failed("no memory controller below %s", place->parent);
}

bool group_find_place(GroupPlace* place, int version, const char* name) {
  char first_error[sizeof g_error] = "";
  for (int tried = version == 2 ? 2 : 1; tried <= (version == 1 ? 1 : 2); ++tried) {
    size_t mount_length = 0;
    place->version = tried;
    bool has_folder = group_own_folder(tried, place->parent, &mount_length);
    while (has_folder) {
      if (try_place(place, name)) return true;
      char* last = strrchr(place->parent, '/');
      has_folder = strlen(place->parent) > mount_length && last != NULL;
      if (has_folder) *last = '\0';
    }
    if (first_error[0] == '\0') memcpy(first_error, g_error, sizeof first_error);
  }
  place->version = 0;
  memcpy(g_error, first_error, sizeof g_error);
  return false;
}

void group_leave_place(const GroupPlace* place) {
  if (!place->enabled_in_parent) return;
  write_text(place->parent, "cgroup.subtree_control", "-memory");
}

bool group_set_limit(const Group* group, uint64_t limit_bytes) {
  char text[32];
  const bool none = limit_bytes == GROUP_NO_LIMIT;
  if (group->version == 2) {
    snprintf(text, sizeof text, "%" PRIu64, limit_bytes);
    if (exists(group, "memory.swap.max") && !write_text(group->folder, "memory.swap.max", "0")) {
      return false;
    }
    return write_text(group->folder, "memory.max", none ? "max" : text);
  }
  if (none) {
    snprintf(text, sizeof text, "-1");
  } else {
    snprintf(text, sizeof text, "%" PRIu64, limit_bytes);
  }
  // Memory with swap may never be less than memory: on the way up it is first, on the way down
  // last. What the kernel refuses now it takes the second time.
  const char* with_swap = "memory.memsw.limit_in_bytes";
  const bool has_swap = exists(group, with_swap);
  if (has_swap) write_text(group->folder, with_swap, text);
  if (!write_text(group->folder, "memory.limit_in_bytes", text)) return false;
  return !has_swap || write_text(group->folder, with_swap, text);
}

// --- What is in it ---

bool group_move_here(const Group* group, pid_t process) {
  char text[32];
  snprintf(text, sizeof text, "%d", (int)process);
  return write_text(group->folder, "cgroup.procs", text);
}

// The first of its processes; 0 where there is none, or no such group.
static pid_t first_process(const Group* group) {
  char text[64];
  if (!read_text(group->folder, "cgroup.procs", text, sizeof text)) return 0;
  return (pid_t)strtol(text, NULL, 10);
}

bool group_move_all(const Group* from, const Group* to) {
  pid_t process = 0;
  while ((process = first_process(from)) != 0) {
    // One that has ended in between is in no group any more.
    if (!group_move_here(to, process) && errno != ESRCH) return false;
  }
  return true;
}

static uint64_t number_in(const Group* group, const char* file, const char* name) {
  char text[4096];
  if (!read_text(group->folder, file, text, sizeof text)) return 0;
  const char* found = strstr(text, name);
  return found == NULL ? 0 : strtoull(found + strlen(name), NULL, 10);
}

uint64_t group_peak_bytes(const Group* group) {
  return number_in(group, group->version == 1 ? "memory.max_usage_in_bytes" : "memory.peak", "");
}

uint64_t group_kills(const Group* group) {
  const char* file = group->version == 1 ? "memory.oom_control" : "memory.events";
  return number_in(group, file, "\noom_kill ");
}

static void kill_all(const Group* group) {
  char text[16384];
  if (!read_text(group->folder, "cgroup.procs", text, sizeof text)) return;
  for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
    const long process = strtol(line, NULL, 10);
    if (process > 0) kill((pid_t)process, SIGKILL);
  }
}

bool group_remove(const Group* group) {
  for (int attempt = 0; attempt < kRemoveAttempts; ++attempt) {
    if (rmdir(group->folder) == 0 || errno == ENOENT) return true;
    kill_all(group);
    usleep(kRemovePauseUs);
  }
  return failed("cannot remove %s: %s", group->folder, strerror(errno));
}
