// See thread.h.
#include "os/thread.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include <initializer_list>

#include "base/units.h"
#include "os/syscall.h"

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
  system_call(SYS_prctl, PR_SET_NAME, reinterpret_cast<long>("elasticpool"));
  g_run();
  return nullptr;
}

}  // namespace

bool start_thread(void (*run)()) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return false;
  pthread_attr_setstacksize(&attributes, kStackBytes);
  g_run = run;
  // The new thread inherits the mask.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  // Blocked, they would kill: a sandbox that answers a system call with SIGSYS wants it handled.
  for (const int fault : {SIGSYS, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP}) {
    sigdelset(&all, fault);
  }
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const bool started = pthread_create(&g_thread, &attributes, enter, nullptr) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return started;
}

void wait_for_thread() {
  // The caller's own cancellation must not come here.
  const WithoutCancellation guard;
  pthread_join(g_thread, nullptr);
}

WithoutCancellation::WithoutCancellation() : before_(PTHREAD_CANCEL_ENABLE) {
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_);
}

WithoutCancellation::~WithoutCancellation() { pthread_setcancelstate(before_, nullptr); }

}  // namespace elasticpool
