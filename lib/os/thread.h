// A thread of our own: one at a time.
//
// Who may call  pressure/, one call at a time. The caller holds no lock of ours: libc asks malloc
//               for the thread's local storage.
// Errors        false where the system refuses (a limit, a sandbox); nothing is left behind.
#pragma once

namespace elasticpool {

// A thread that takes no signal. The one before it was waited for. It makes no system call that the
// program's own threads do not make: a sandbox may kill for it, so it has no name.
bool start_thread(void (*run)());
// Until it has ended, for the kernel too.
void wait_for_thread();

}  // namespace elasticpool
