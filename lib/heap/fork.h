// fork(): all our locks are taken before it, and free again in both processes after it.
//
// Deadlock  glibc runs prepare handlers before it takes its list lock of stdio streams. A thread in
//           fflush(NULL) holds that and waits for a stream; one in getline() holds the stream and
//           waits for malloc. So our prepare handler takes the list lock first, then ours: the same
//           order as everybody else's.
// Child     its other threads are gone: locks are reset. What they had in their magazines is
//           given up (magazine/thread_cache.h).
#pragma once

namespace elasticpool {

// Once, when the process's constructors run. Handlers that others register later run before ours
// in the parent's prepare and after ours in parent and child, so that they may allocate.
void install_fork_handlers();

}  // namespace elasticpool
