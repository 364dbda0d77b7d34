// __register_atfork, which pthread_atfork of every library calls: our fork handlers first.
//
// Why   prepare handlers run in the reverse order of their registration. Ours, which takes all our
//       locks, has to run last: one that runs after it may wait for a lock of its library whose
//       holder waits for malloc. Constructors of other libraries run before ours.
// Not   `-z initfirst`: then NUMA start would load a library before libc is initialised, and libc
//       would lose the program's environment.
// Only  in the shared library: a static one would meet libc's own definition.
#include <dlfcn.h>

#include "base/check.h"
#include "heap/fork.h"

extern "C" __attribute__((visibility("default"))) int __register_atfork(void (*prepare)(),
                                                                        void (*parent)(),
                                                                        void (*child)(),
                                                                        void* library) {
  elasticpool::install_fork_handlers();
  using Function = int (*)(void (*)(), void (*)(), void (*)(), void*);
  const auto next = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "__register_atfork"));
  EP_CHECK(next != nullptr && "a libc without __register_atfork");
  return next(prepare, parent, child, library);
}
