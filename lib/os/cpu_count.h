// How many CPUs this process may use at once.
//
// What it is  two limits, at least 1 each: the CPUs in its affinity mask, and the quota of its
//             control group and of each group above, rounded up (version 2: cpu.max, version 1:
//             cpu.cfs_quota_us). Not what the host has.
// Mask        the first thread's, from /proc/self/status. A program may pin threads later: nothing
//             is sized by the mask that must serve all CPUs (percpu/cpu_cache.h does without, since
//             only CPUs of the mask come to use it).
// Threads     any.
// Errors      what cannot be read (no /proc, no /sys, a mount elsewhere) limits nothing: kCpusMax.
//             It makes no system call but those that read a file: a sandbox may kill for others.
// Cost        usable_cpus(): a load. count_usable_cpus(): two small files, and one or two a group;
//             some 50 microseconds, 4 KiB of stack.
#pragma once

#include <cstddef>
#include <cstdint>

namespace elasticpool {

inline constexpr size_t kCpusMax = 4096;

struct UsableCpus {
  size_t by_mask = 1;
  size_t by_quota = 1;

  constexpr size_t least() const { return by_mask < by_quota ? by_mask : by_quota; }
  constexpr bool operator==(const UsableCpus&) const = default;
};

// As counted; no limit before that.
UsableCpus usable_cpus();

// Counts them, once: a quota that changes later is not followed, because no moment is safe to open
// a file behind a running program's back.
void count_own_cpus();

// Where the kernel says it, for tests: elsewhere.
struct CpuFiles {
  const char* status = "/proc/self/status";
  const char* groups = "/proc/self/cgroup";
  const char* mount = "/sys/fs/cgroup";
};
UsableCpus count_usable_cpus(const CpuFiles& files);

// The parts of it. Each says kCpusMax where the text limits nothing, or is none that it knows.
size_t cpus_of_mask(const char* status);  // "Cpus_allowed:\tff,ffffffff" in it
size_t cpus_of_quota(uint64_t quota_us, uint64_t period_us);
size_t cpus_of_max(const char* cpu_max);  // "150000 100000", "max 100000"

}  // namespace elasticpool
