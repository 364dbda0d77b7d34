// A process that starts where /proc and /sys are empty directories.
//
// A broken allocator takes what it reads there (CPUs, nodes, huge pages, cgroup) for granted.
#include <malloc.h>
#include <sched.h>
#include <sys/mount.h>

#include "dropin.h"

static void* allocate(void* arg) {
  use_heap((uint32_t)(uintptr_t)arg, 5000);
  check_and_free(filled(40 * kMiB, 1), 40 * kMiB, 1);
  return NULL;
}

int main(int argc, char** argv) {
  if (argc == 1 || strcmp(argv[1], "inside") != 0) {
    self_path();  // is read from /proc
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
      SKIP("not allowed to make a mount namespace");
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/proc", "tmpfs", 0, NULL) != 0 ||
        mount("none", "/sys", "tmpfs", 0, NULL) != 0) {
      SKIP("not allowed to mount");
    }
    exec_self((const char* const[]){"inside", NULL});
  }
  expect_same_allocator();
  EXPECT(access("/proc/self", F_OK) != 0 && access("/sys/devices", F_OK) != 0);
  allocate(NULL);
  run_threads(4, allocate);
  malloc_trim(0);
  return 0;
}
