// Threads of our own.
//
// Who may call  pressure/. The caller holds no lock of ours: libc asks malloc for the thread's
//               local storage.
// Errors        false where the system refuses (a limit, a sandbox); nothing is left behind.
#pragma once

namespace elasticpool {

// A detached thread that takes no signal; `name` is what tools show, at most 15 bytes.
bool start_thread(const char* name, void (*run)());

}  // namespace elasticpool
