// Sleeping and waking for base/lock.h, by futex.
//
// Who may call  heap/, once, at boot.
// Fallback      where futex is forbidden the waiter yields, then spins: slow, never wrong.
#pragma once

namespace elasticpool {

void install_lock_hooks();

}  // namespace elasticpool
