// A memory control group of our own: made, limited, looked at, emptied and removed.
//
// Version 1 (below the mount of the memory controller) or version 2 (where the memory controller
// can be had for a child); below the group that this process is in if that is allowed, else below
// the nearest one above it where it is. Needs root, or a group that was delegated to the user.
//
// Threads  one only. Errors: functions that can fail say why in group_error(), one line.
#ifndef ELASTICPOOL_TESTS_PRESSURE_GROUP_H_
#define ELASTICPOOL_TESTS_PRESSURE_GROUP_H_

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define GROUP_NO_LIMIT UINT64_MAX

typedef struct {
  char parent[PATH_MAX];   // the folder in which groups are made
  int version;             // 1 or 2; 0 where none can be made
  bool enabled_in_parent;  // we gave the parent's children the memory controller
} GroupPlace;

typedef struct {
  char folder[PATH_MAX];
  int version;
} Group;

// Where groups can be made. version: 1 or 2, or 0 for whichever there is, 1 first. Tries it by
// making one of that name.
bool group_find_place(GroupPlace* place, int version, const char* name);

// The folder of the group that this process is in; *mount_length of it are where it is mounted.
bool group_own_folder(int version, char* folder, size_t* mount_length);

// Takes the memory controller away from the parent's children again, where we gave it.
void group_leave_place(const GroupPlace* place);

// An empty group without limit, below the folder `parent`, which is a place's or a group's.
bool group_make(Group* group, const char* parent, int version, const char* name);

// In a group with children a limit holds for all of them together. Only before anything else is in
// the group: version 2 allows processes only in groups without children that have controllers.
bool group_allow_children(const Group* group);

// Neither memory nor swap above it. False where the kernel refuses: version 1 does that with a
// limit below what is used and cannot be taken back.
bool group_set_limit(const Group* group, uint64_t limit_bytes);

bool group_move_here(const Group* group, pid_t process);

// Every process of `from`, again and again until none is left there.
bool group_move_all(const Group* from, const Group* to);

uint64_t group_peak_bytes(const Group* group);

// How many processes the kernel has killed for want of memory in this group.
uint64_t group_kills(const Group* group);

// Kills whatever runs in it, waits until nothing does, and removes it. No error where it is gone.
bool group_remove(const Group* group);

// Why the last function failed.
const char* group_error(void);

#endif  // ELASTICPOOL_TESTS_PRESSURE_GROUP_H_
