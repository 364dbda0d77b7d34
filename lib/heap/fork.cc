// See fork.h.
#include "heap/fork.h"

#include <pthread.h>

#include "base/lock.h"
#include "buddy/buddy.h"
#include "heap/thread.h"
#include "large/extents.h"
#include "magazine/thread_cache.h"
#include "os/meta_arena.h"
#include "pagemap/zone.h"
#include "percpu/cpu_cache.h"
#include "pressure/caretaker.h"
#include "pressure/governor.h"
#include "slab/quarters.h"

// Exported by glibc for debuggers and old libraries; absent elsewhere.
extern "C" {
void _IO_list_lock() __attribute__((weak));       // NOLINT(bugprone-reserved-identifier): glibc's
void _IO_list_unlock() __attribute__((weak));     // NOLINT(bugprone-reserved-identifier): glibc's
void _IO_list_resetlock() __attribute__((weak));  // NOLINT(bugprone-reserved-identifier): glibc's
}

namespace elasticpool {
namespace {

void before_fork() {
  if (&_IO_list_lock != nullptr) _IO_list_lock();
  governor_lock_for_fork();
  threads_lock_for_fork();
  percpu_lock_for_fork();
  quarters_lock_for_fork();
  buddy_lock_for_fork();
  large_lock_for_fork();
  zones_lock_for_fork();
  meta_lock_for_fork();
  Lock::begin_fork();
}

void unlock_all(bool in_child) {
  Lock::end_fork();
  meta_unlock_after_fork(in_child);
  zones_unlock_after_fork(in_child);
  large_unlock_after_fork(in_child);
  buddy_unlock_after_fork(in_child);
  quarters_unlock_after_fork(in_child);
  percpu_unlock_after_fork(in_child);
  threads_unlock_after_fork(in_child, &this_cache());
  governor_unlock_after_fork(in_child);
}

void after_fork_in_parent() {
  unlock_all(false);
  if (&_IO_list_unlock != nullptr) _IO_list_unlock();
}

void after_fork_in_child() {
  unlock_all(true);
  caretaker_after_fork_in_child();
  // glibc resets the lock itself, but only in a process that had threads.
  if (&_IO_list_resetlock != nullptr) _IO_list_resetlock();
}

}  // namespace

void install_fork_handlers() {
  static constinit bool g_installed = false;
  if (g_installed) return;
  g_installed = true;
  pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

}  // namespace elasticpool
