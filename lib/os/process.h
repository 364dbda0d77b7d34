// What the kernel says of this process and this machine.
//
// Threads  any.
// Errors   what cannot be read (no /proc, forbidden calls) is 0, and a reader says so.
// Cost     one to three system calls each; never on the way of a request.
#pragma once

#include <cstddef>
#include <cstdint>

namespace elasticpool {

struct PageFaults {
  uint64_t minor = 0;
  uint64_t major = 0;
};
PageFaults page_faults();

struct Residency {
  uint64_t resident_bytes = 0;
  uint64_t peak_resident_bytes = 0;
  uint64_t mapped_bytes = 0;
};
Residency residency();

// All of the process, ours too; 0 where that cannot be told. Opens no file.
size_t thread_count();

int process_id();
// The caller's thread number in the kernel.
int thread_id();

// The process has more rights than its caller (AT_SECURE): do not write where the caller says.
bool is_secure_process();

// Up to `capacity` bytes of a small file, NUL-terminated; the length, 0 where it cannot be read.
size_t read_small_file(const char* path, char* buffer, size_t capacity);

}  // namespace elasticpool
