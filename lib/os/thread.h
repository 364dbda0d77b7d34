// A thread of our own: one at a time.
//
// Who may call  pressure/, one call at a time. The caller holds no lock of ours: libc asks malloc
//               for the thread's local storage.
// Errors        false where the system refuses (a limit, a sandbox); nothing is left behind.
#pragma once

namespace elasticpool {

// A thread that takes no signal but those of its own faults, and is named "elasticpool". The one
// before it was waited for. But for its name (prctl) it makes no system call that the program's own
// threads do not make: a sandbox may kill for it.
bool start_thread(void (*run)());
// Until it has ended, for the kernel too.
void wait_for_thread();

// While it lives this thread cannot be cancelled: what was begun would stay half done.
class WithoutCancellation {
 public:
  WithoutCancellation();
  ~WithoutCancellation();
  WithoutCancellation(const WithoutCancellation&) = delete;
  WithoutCancellation& operator=(const WithoutCancellation&) = delete;

 private:
  int before_;
};

}  // namespace elasticpool
