// Other layouts of the address space than the usual one: mappings that grow upwards (an unlimited
// stack), no randomisation.
//
// A broken allocator counts on free addresses on one side of its first mapping.
#include <sys/personality.h>
#include <sys/resource.h>

#include "dropin.h"

static void* allocate(void* arg) {
  use_heap((uint32_t)(uintptr_t)arg, 5000);
  return NULL;
}

static void live_inside(void) {
  void* blocks[200];
  expect_same_allocator();
  for (unsigned i = 0; i < 200; ++i) blocks[i] = filled(kMiB + i, i);
  for (unsigned i = 0; i < 200; ++i) check_and_free(blocks[i], kMiB + i, i);
  run_threads(4, allocate);
}

int main(int argc, char** argv) {
  EXPECT(argc == 2);
  if (strcmp(argv[1], "upwards") == 0) {
    const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_STACK, &unlimited) != 0) SKIP("not allowed to lift the stack's limit");
  } else if (strcmp(argv[1], "fixed") == 0) {
    if (personality(ADDR_NO_RANDOMIZE) == -1) SKIP("not allowed to switch randomisation off");
  } else {
    live_inside();
    return 0;
  }
  exec_self((const char* const[]){"inside", NULL});
}
