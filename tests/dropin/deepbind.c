// dlopen() with RTLD_DEEPBIND of a library that mixes asprintf() and free().
//
//   mix MODULE    blocks may cross between libc, the library and the program in any direction.
//                 Such a library looks for free() in libc before the program: unless dlopen()
//                 clears the flag, a block of ours reaches libc's free() and the process dies.
//   clear MODULE  seen from outside: the program's definition of a symbol wins over the library's.
//   keep MODULE   MEMPOOL_DEEPBIND=keep leaves the flag alone: the library's own definition wins.
#include "deepbind_module.h"
#include "dropin.h"

const char* owner(void) { return "program"; }

static void* module;

static void* find(const char* name) {
  void* found = dlsym(module, name);
  EXPECT(found != NULL);
  return found;
}

static void expect_mixing_works(void) {
  bool (*const mixes_blocks)(void) = (bool (*)(void))find("module_mixes_blocks");
  char* (*const makes)(void) = (char* (*)(void))find("module_makes");
  void (*const frees)(void*) = (void (*)(void*))find("module_frees");
  for (int i = 0; i < 1000; ++i) {
    EXPECT(mixes_blocks());
    char* made = opaque(makes());
    EXPECT(made != NULL && strcmp(made, "made by the module") == 0);
    free(made);
    frees(filled((size_t)i * 10 + 1, 1));
  }
}

int main(int argc, char** argv) {
  EXPECT(argc == 3);
  const char* mode = argv[1];
  const bool keep = strcmp(mode, "keep") == 0;
  if (keep && getenv("MEMPOOL_DEEPBIND") == NULL) {
    setenv("MEMPOOL_DEEPBIND", "keep", 1);  // options are read once, at start
    exec_self((const char* const[]){mode, argv[2], NULL});
  }
  module = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  EXPECT(module != NULL);
  if (strcmp(mode, "mix") == 0) {
    expect_mixing_works();
  } else {
    const char* (*const module_owner_found)(void) = (const char* (*)(void))find("module_owner");
    EXPECT(strcmp(module_owner_found(), keep ? "module" : "program") == 0);
  }
  EXPECT(dlclose(module) == 0);
  return 0;
}
