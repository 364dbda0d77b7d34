// dlopen() still is what its manual says, seen through the wrapper that clears RTLD_DEEPBIND: a
// library with RUNPATH $ORIGIN/sub finds its neighbour there by bare name; errors, dlopen(NULL) and
// RTLD_NOLOAD are as ever.
//
// libc takes the caller's RUNPATH from the return address: a wrapper that calls on instead of
// jumping makes the allocator the caller, and the neighbour is not found.
#include "dropin.h"

static void expect_neighbour_found(const char* path, int flags) {
  void* module = dlopen(path, RTLD_NOW | flags);
  EXPECT(module != NULL);
  int (*const answer)(void) = (int (*)(void))dlsym(module, "answer_of_neighbour");
  EXPECT(answer != NULL);
  EXPECT(answer() == 42);
  EXPECT(dlopen(path, RTLD_NOW | RTLD_NOLOAD | flags) == module && dlclose(module) == 0);
  EXPECT(dlclose(module) == 0);
  EXPECT(dlopen(path, RTLD_NOW | RTLD_NOLOAD | flags) == NULL);
}

int main(int argc, char** argv) {
  EXPECT(argc == 2);
  expect_neighbour_found(argv[1], RTLD_LOCAL);
  expect_neighbour_found(argv[1], RTLD_LOCAL | RTLD_DEEPBIND);

  EXPECT(dlopen("libdropin_leaf.so", RTLD_NOW) == NULL);  // not ours to find: we have no RUNPATH
  const char* error = dlerror();
  EXPECT(error != NULL && strstr(error, "libdropin_leaf.so") != NULL);
  EXPECT(dlerror() == NULL);
  EXPECT(dlopen(argv[1], RTLD_DEEPBIND) == NULL && dlerror() != NULL);  // neither LAZY nor NOW

  void* program = dlopen(NULL, RTLD_NOW | RTLD_DEEPBIND);
  EXPECT(program != NULL && dlsym(program, "malloc") == dlsym(RTLD_DEFAULT, "malloc"));
  EXPECT(dlclose(program) == 0);
  return 0;
}
