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

// Does its work once: at the first registration of a handler by anybody
// (preload/register_atfork.cc), or when our constructors run. Handlers that are registered later
// run before ours in the parent's prepare and after ours in parent and child: they may allocate,
// and take locks under which others of their threads allocate. Handlers that were registered
// earlier (ours came by dlopen, or from the static library) may allocate too, but not wait for such
// a lock.
void install_fork_handlers();

}  // namespace elasticpool
