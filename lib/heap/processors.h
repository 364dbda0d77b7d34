// How many CPUs the process may use, and who follows that: percpu/ with its caches, waiters for a
// lock with their spinning.
//
// Who may call  note_birth(): whoever has made a thread's cache. follow_usable_cpus(): the helper,
//               once a round. Any thread that holds no lock of ours.
// When          with the second thread, and at later births and while the helper runs at most every
//               four seconds: a process without threads opens no file for it.
// Cost          see os/cpu_count.h; a load of a clock where it is too early.
#pragma once

namespace elasticpool {

void note_birth();
void follow_usable_cpus();

}  // namespace elasticpool
