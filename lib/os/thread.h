// A thread of our own: one at a time.
//
// Who may call  pressure/, one call at a time. The caller holds no lock of ours: libc asks malloc
//               for the thread's local storage.
// Errors        false where the system refuses (a limit, a sandbox); nothing is left behind.
#pragma once

namespace elasticpool {

// A thread that takes no signal; `name` is what tools show, at most 15 bytes. The one before it was
// waited for.
bool start_thread(const char* name, void (*run)());
// Until it has ended, for the kernel too.
void wait_for_thread();

}  // namespace elasticpool
