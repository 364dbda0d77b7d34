// Which CPU this thread runs on. (How many there are: cpu_count.h.)
//
// Threads    any.
// Contract   a CPU number is a hint: the thread may be moved the moment after. Numbers may be
//            larger than the number of usable CPUs; the user of a number folds it into its table.
// Fallbacks  rseq's field (glibc 2.35 registers it) -> libc's sched_getcpu, which asks the vDSO and
//            makes no system call where there is one -> 0.
// Cost       rseq: two loads. vDSO: about 20 ns.
#pragma once

#include "base/units.h"

namespace elasticpool {

// Reads what glibc says of rseq; before it, current_cpu() asks the vDSO.
void cpu_boot();

CpuId current_cpu();

}  // namespace elasticpool
