// What of a process lies on pages of the kernel's hugetlb pool, and how many of those there are.
#ifndef ELASTICPOOL_TESTS_HUGETLB_PAGES_H_
#define ELASTICPOOL_TESTS_HUGETLB_PAGES_H_

#include "dropin.h"

enum { kKib2M = 2 * kKiB, kKib1G = kMiB };

// The page size, in KiB, of the mapping that holds the address; 0 where the kernel does not say.
static inline long page_kib_at(const void* address) {
  char line[256];
  long kib = 0;
  bool inside = false;
  FILE* file = fopen("/proc/self/smaps", "r");
  if (file == NULL) return 0;
  while (kib == 0 && fgets(line, sizeof line, file) != NULL) {
    unsigned long start = 0;
    unsigned long end = 0;
    if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
      inside = (uintptr_t)address >= start && (uintptr_t)address < end;
    } else if (inside) {
      sscanf(line, "KernelPageSize: %ld kB", &kib);
    }
  }
  fclose(file);
  return kib;
}

// Of this process.
static inline long hugetlb_kib(void) {
  return number_after("/proc/self/status", "\nHugetlbPages:");
}

// The pool of pages of that size: what /sys says of it, -1 where there is none.
static inline long pool_read(long page_kib, const char* what) {
  char path[128];
  char text[32];
  snprintf(path, sizeof path, "/sys/kernel/mm/hugepages/hugepages-%ldkB/%s", page_kib, what);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const ssize_t length = read(fd, text, sizeof text - 1);
  EXPECT(length > 0 && close(fd) == 0);
  text[length] = '\0';
  return strtol(text, NULL, 10);
}

// False: not permitted. The kernel may make fewer of them than asked for, and says nothing.
static inline bool pool_resize(long page_kib, long pages) {
  char path[128];
  char text[32];
  snprintf(path, sizeof path, "/sys/kernel/mm/hugepages/hugepages-%ldkB/nr_hugepages", page_kib);
  const int length = snprintf(text, sizeof text, "%ld\n", pages);
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = write(fd, text, (size_t)length) == length;
  return close(fd) == 0 && written;
}

#endif  // ELASTICPOOL_TESTS_HUGETLB_PAGES_H_
