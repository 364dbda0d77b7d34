// See thread.h.
#include "os/thread.h"

#include <linux/prctl.h>
#include <pthread.h>
#include <signal.h>

#include "base/units.h"
#include "os/syscall.h"

namespace elasticpool {
namespace {

// Room for our own frames and, below them, for the program's thread-local variables, which libc
// puts on the stack.
constexpr size_t kStackBytes = 256 * kKiB;

struct Start {
  const char* name;
  void (*run)();
};
// The new thread reads it first of all.
constinit Start g_start = {nullptr, nullptr};
constinit pthread_t g_thread = 0;

void* enter(void*) {
  const Start start = g_start;
  system_call(SYS_prctl, PR_SET_NAME, reinterpret_cast<long>(start.name));
  start.run();
  return nullptr;
}

}  // namespace

bool start_thread(const char* name, void (*run)()) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return false;
  pthread_attr_setstacksize(&attributes, kStackBytes);
  g_start = {name, run};
  // The new thread inherits the mask.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const bool started = pthread_create(&g_thread, &attributes, enter, nullptr) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return started;
}

void wait_for_thread() { pthread_join(g_thread, nullptr); }

}  // namespace elasticpool
