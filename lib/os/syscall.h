// Bare system calls.
//
// Who may call  os/ only.
// Returns       the kernel's result: -errno on failure. The caller's `errno` is never touched, and
//               nobody can interpose between us and the kernel.
// Cost          one trap.
#pragma once

#include <sys/syscall.h>

namespace elasticpool {

#if defined(__x86_64__)

// NOLINTNEXTLINE(readability-function-size): the kernel takes a number and six arguments
inline long system_call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                        long f = 0) {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

#elif defined(__aarch64__)

// NOLINTNEXTLINE(readability-function-size): the kernel takes a number and six arguments
inline long system_call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                        long f = 0) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc 0"
               : "+r"(x0)
               : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
               : "memory", "cc");
  return x0;
}

#else
#error "elasticpool runs on x86-64 and aarch64"
#endif

inline bool failed(long result) {
  return static_cast<unsigned long>(result) >= static_cast<unsigned long>(-4095L);
}

}  // namespace elasticpool
