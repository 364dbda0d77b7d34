// mallopt accepts what glibc documents, so that programs which tune glibc go on, and says no to
// anything else. (glibc's own returns 1 for numbers that it does not know; its manual says that 0
// is the answer to an error.)
#include "check.h"

#ifndef M_ARENA_TEST
#define M_ARENA_TEST (-7)
#define M_ARENA_MAX (-8)
#endif

int main(void) {
  static const struct {
    int parameter, value;
  } kKnown[] = {
      {M_MXFAST, 64},         {M_TRIM_THRESHOLD, 128 * 1024},
      {M_TOP_PAD, 64 * 1024}, {M_MMAP_THRESHOLD, 256 * 1024},
      {M_MMAP_MAX, 65536},    {M_CHECK_ACTION, 3},
      {M_PERTURB, 0},         {M_ARENA_TEST, 2},
      {M_ARENA_MAX, 1},       {M_TRIM_THRESHOLD, -1},
  };
  for (size_t i = 0; i < COUNT_OF(kKnown); ++i) {
    CHECK_WITH(mallopt(kKnown[i].parameter, kKnown[i].value) == 1, "parameter %d",
               kKnown[i].parameter);
    void* block = malloc(100000);
    CHECK(block != NULL);
    free(block);
  }
  static const int kUnknown[] = {0, 2000, -2000, 99, -99, INT32_MAX, INT32_MIN};
  for (size_t i = 0; i < COUNT_OF(kUnknown); ++i) {
    CHECK_WITH(mallopt(kUnknown[i], 1) == 0, "parameter %d", kUnknown[i]);
  }
  return 0;
}
