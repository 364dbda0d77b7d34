// Starting, watching and stopping the processes of consumers, one at a time.
//
// Threads   one at a time; the process that started them.
// Numbers   of processes are used again: one that is our child keeps its number until we wait for
//           it; of another (a starter may hand on to a daemon) the start time is compared before it
//           is signalled.
// Cost      a start is a fork and an exec; has_exited() one system call, of a stranger some 10 us.
#pragma once

#include "include/elasticpool/ring.h"
#include "ring/process_life.h"
#include "ring/region.h"

namespace elasticpool {

struct ConsumerProcess {
  ProcessIdentity identity;
  int number() const { return static_cast<int>(identity.process); }
};

// Errors  SYSTEM: errno says why; NO_MEMORY. Nothing runs then.
ep_ring_error start_consumer(const Region& region, const ep_ring_starter& starter,
                             const char* group, const char* consumer, ConsumerProcess* process);

// *status as of waitpid(), -1 where nobody told us.
bool has_exited(const ConsumerProcess& process, int* status);
void send_signal(const ConsumerProcess& process, int signal);

}  // namespace elasticpool
