// See thread.h.
#include "os/thread.h"

#include <pthread.h>
#include <signal.h>

#include "base/units.h"

namespace elasticpool {
namespace {

// Room for our own frames and, below them, for the program's thread-local variables, which libc
// puts on the stack.
constexpr size_t kStackBytes = 256 * kKiB;

// The new thread reads it first of all.
using Run = void (*)();
constinit Run g_run = nullptr;
constinit pthread_t g_thread = 0;

void* enter(void*) {
  g_run();
  return nullptr;
}

}  // namespace

bool start_thread(void (*run)()) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return false;
  pthread_attr_setstacksize(&attributes, kStackBytes);
  g_run = run;
  // The new thread inherits the mask. A sandbox may answer a call of ours with SIGSYS, for the
  // program's handler to say what the call returns; where the signal is blocked it kills.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigdelset(&all, SIGSYS);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const bool started = pthread_create(&g_thread, &attributes, enter, nullptr) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return started;
}

void wait_for_thread() {
  // The caller's own cancellation must not come here: what it has begun would stay half done.
  int before = PTHREAD_CANCEL_ENABLE;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  pthread_join(g_thread, nullptr);
  pthread_setcancelstate(before, nullptr);
}

}  // namespace elasticpool
