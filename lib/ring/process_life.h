// Whether a process still lives: by its number and its start time, since numbers are used again.
//
// Threads   any.
// Answers   a process that has exited and was not waited for counts as gone. Of a process in
//           another pid namespace nothing can be told: then only its lease counts.
// Cost      two to four system calls, some 10 us.
#pragma once

#include <cstdint>

namespace elasticpool {

struct ProcessIdentity {
  uint32_t process = 0;
  uint64_t start_time = 0;     // in ticks since boot; 0: not known
  uint64_t pid_namespace = 0;  // 0: not known
};
ProcessIdentity own_identity();
// Of another process of our pid namespace, which is certain to live at this moment.
ProcessIdentity identity_of(uint32_t process);

// Only if it is certain.
bool is_gone(const ProcessIdentity& identity);

// Tells one run of the machine from another; 0: not known.
uint32_t boot_number();

}  // namespace elasticpool
