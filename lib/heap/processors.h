// How many CPUs the process may use, and who follows that: percpu/ with its caches, waiters for a
// lock with their spinning.
//
// Who may call  count_processors(): heap_start(), once. note_birth(): whoever has made a thread's
//               cache, with no lock of ours held.
// When          counted before main, where nobody minds that a file is open for a moment; later a
//               sandbox might kill for it, and another thread might just have closed the lowest
//               descriptor. Followed from the second thread on: one alone needs one cache, wherever
//               it runs.
// Cost          see os/cpu_count.h; note_birth() a load.
#pragma once

namespace elasticpool {

void count_processors();
void note_birth();

}  // namespace elasticpool
