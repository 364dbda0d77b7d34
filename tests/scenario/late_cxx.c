// A C program whose first C++ comes late, as a plug-in with a scope of its own (RTLD_LOCAL), still
// gives that plug-in its new_handler and its bad_alloc.  usage: late_cxx PLUGIN
#include <dlfcn.h>

#include "check.h"

int main(int argc, char** argv) {
  CHECK_WITH(argc == 2, "usage: late_cxx PLUGIN");
  void* plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  CHECK_WITH(plugin != NULL, "%s", dlerror());
  const char* (*plugin_main)(void);
  *(void**)&plugin_main = dlsym(plugin, "plugin_main");
  CHECK(plugin_main != NULL);
  const char* wrong = plugin_main();
  CHECK_WITH(wrong == NULL, "%s", wrong);
  CHECK(dlclose(plugin) == 0);
  free(opaque_pointer(malloc(100)));
  return 0;
}
