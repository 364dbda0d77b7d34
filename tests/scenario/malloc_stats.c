// malloc_stats writes lines of text to stderr, and what it says is in use moves by exactly the
// blocks that are made and freed.
//
// In use is the line "live BYTES UNIT in COUNT blocks"; by hand on glibc, the last "in use bytes".
#include <sys/mman.h>

#include "check.h"

enum { kBlocks = 50000, kBytes = 1000 };

struct Used {
  double bytes;
  double rounding_bytes;  // the figure is right to this
  long blocks;            // -1: not told
};

static char text[256 * 1024];
static void* blocks[kBlocks];

static void capture_stats(void) {
  const int file = memfd_create("stderr", MFD_CLOEXEC);
  const int real_stderr = dup(STDERR_FILENO);
  CHECK(file >= 0 && real_stderr >= 0 && dup2(file, STDERR_FILENO) >= 0);
  malloc_stats();
  fflush(stderr);
  CHECK(dup2(real_stderr, STDERR_FILENO) >= 0);
  const ssize_t size = pread(file, text, sizeof(text) - 1, 0);
  CHECK_WITH(size > 0, "malloc_stats wrote nothing to stderr");
  CHECK(text[size - 1] == '\n');
  text[size] = '\0';
  close(real_stderr);
  close(file);
}

static double unit_bytes(const char* unit) {
  static const char* const kUnits[] = {"B", "KiB", "MiB", "GiB"};
  for (size_t i = 0; i < COUNT_OF(kUnits); ++i) {
    if (strcmp(unit, kUnits[i]) == 0) return (double)((size_t)1 << (10 * i));
  }
  CHECK_WITH(false, "no unit: %s", unit);
}

static struct Used used_now(void) {
  capture_stats();
  struct Used used = {0, 0, -1};
  const char* live = strstr(text, "\n  live ");
  if (live != NULL) {
    char unit[8];
    CHECK(sscanf(live, " live %lf %7s in %ld blocks", &used.bytes, unit, &used.blocks) == 3);
    used.bytes *= unit_bytes(unit);
    used.rounding_bytes = unit_bytes(unit) / 10;
    return used;
  }
  static const char kGlibc[] = "in use bytes     =";
  const char* last = NULL;
  for (const char* at = text; (at = strstr(at, kGlibc)) != NULL; ++at) last = at;
  CHECK_WITH(last != NULL, "nothing in use in:\n%s", text);
  used.bytes = strtod(last + strlen(kGlibc), NULL);
  used.rounding_bytes = 16 * KIB;  // what lies in its caches counts as in use
  return used;
}

// `count` blocks more are in use than at first.
static void expect_more(const struct Used* first, long count) {
  const struct Used now = used_now();
  if (first->blocks >= 0) {
    CHECK_WITH(now.blocks - first->blocks == count, "%ld, then %ld blocks, not %ld more",
               first->blocks, now.blocks, count);
  }
  const double more = now.bytes - first->bytes;
  const double slack = first->rounding_bytes + now.rounding_bytes;
  const double usable = (double)malloc_usable_size(blocks[0]);
  // At most: with a header, in an allocator that keeps one.
  CHECK_WITH(
      more >= (double)count * kBytes - slack && more <= (double)count * (usable + 16) + slack,
      "%.0f bytes more for %ld blocks of %d", more, count, kBytes);
}

int main(void) {
  const struct Used first = used_now();
  for (int i = 0; i < kBlocks; ++i) CHECK((blocks[i] = malloc(kBytes)) != NULL);
  expect_more(&first, kBlocks);
  // What lies in a cache of the allocator's is not in use.
  for (int i = 1; i < kBlocks; i += 2) free(blocks[i]);
  expect_more(&first, kBlocks / 2);
  for (int i = 2; i < kBlocks; i += 2) free(blocks[i]);
  expect_more(&first, 1);
  return 0;
}
