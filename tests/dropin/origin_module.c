// A library with RUNPATH $ORIGIN/sub, as dlopen_origin.c loads it.
#include <dlfcn.h>
#include <stddef.h>

__attribute__((visibility("default"))) int answer_of_neighbour(void) {
  void* leaf = dlopen("libdropin_leaf.so", RTLD_NOW);
  if (leaf == NULL) return -1;
  int (*const answer)(void) = (int (*)(void))dlsym(leaf, "leaf_answer");
  const int result = answer == NULL ? -2 : answer();
  return dlclose(leaf) == 0 ? result : -3;
}
