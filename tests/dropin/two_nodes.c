// A host that says it has two NUMA nodes: libnuma is loaded, and the program has its environment
// and its name all the same. (Node 1 is not there; placing pages on it fails, and nothing comes of
// it.)
//
// A broken allocator loads libnuma before libc is initialised, and libc takes its environment from
// there: empty.
#include <sched.h>
#include <sys/mount.h>

#include "dropin.h"

static const char* const kOnline = "/sys/devices/system/node/online";

static void pretend_two_nodes(void) {
  char file[] = "/tmp/ep_online_XXXXXX";
  const int fd = mkstemp(file);
  EXPECT(fd >= 0 && write(fd, "0-1\n", 4) == 4 && close(fd) == 0);
  if (unshare(CLONE_NEWNS) != 0) SKIP("not allowed to make a mount namespace");
  if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount(file, kOnline, NULL, MS_BIND, NULL) != 0) {
    unlink(file);
    SKIP("not allowed to mount");
  }
  EXPECT(unlink(file) == 0);
}

static bool is_mapped(const char* name) {
  char line[1024];
  bool found = false;
  FILE* maps = fopen("/proc/self/maps", "r");
  EXPECT(maps != NULL);
  while (!found && fgets(line, sizeof line, maps) != NULL) found = strstr(line, name) != NULL;
  fclose(maps);
  return found;
}

static void* allocate(void* arg) {
  use_heap((uint32_t)(uintptr_t)arg, 5000);
  return NULL;
}

int main(int argc, char** argv) {
  if (argc == 1 || strcmp(argv[1], "inside") != 0) {
    pretend_two_nodes();
    exec_self((const char* const[]){"inside", NULL});
  }
  expect_same_allocator();  // as the environment names it
  EXPECT(strstr(program_invocation_name, "two_nodes") != NULL);
  if (!is_mapped("libnuma")) SKIP("libnuma is not installed");
  run_threads(4, allocate);
  allocate(NULL);
  return 0;
}
