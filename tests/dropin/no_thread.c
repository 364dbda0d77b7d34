// The allocator starts no thread: a second one would break unshare(), sandboxes and fork().
#include <dirent.h>
#include <malloc.h>

#include "dropin.h"

static int count_threads(void) {
  DIR* tasks = opendir("/proc/self/task");
  EXPECT(tasks != NULL);
  int count = 0;
  for (const struct dirent* entry; (entry = readdir(tasks)) != NULL;) {
    count += entry->d_name[0] != '.';
  }
  EXPECT(closedir(tasks) == 0);
  return count;
}

static void* allocate(void* arg) {
  use_heap((uint32_t)(uintptr_t)arg, 5000);
  return NULL;
}

int main(void) {
  EXPECT(count_threads() == 1);
  use_heap(1, 30000);
  for (unsigned i = 0; i < 50; ++i) {
    const size_t size = (size_t)(i + 1) * kMiB;
    check_and_free(filled(size, i), size, i);
  }
  malloc_trim(0);
  EXPECT(count_threads() == 1);
  run_threads(8, allocate);
  usleep(100000);
  use_heap(2, 10000);
  EXPECT(count_threads() == 1);
  return 0;
}
