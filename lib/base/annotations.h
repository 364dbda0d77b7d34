// Compiler annotations: clang's thread-safety analysis, branch hints, visibility.
//
// Who may use  every layer.
// Cost         none; all of them vanish in the generated code.
#pragma once

#if defined(__clang__)
#define EP_TSA(x) __attribute__((x))
#else
#define EP_TSA(x)
#endif

#define EP_CAPABILITY(name) EP_TSA(capability(name))
#define EP_SCOPED_CAPABILITY EP_TSA(scoped_lockable)
#define EP_GUARDED_BY(lock) EP_TSA(guarded_by(lock))
#define EP_REQUIRES(...) EP_TSA(requires_capability(__VA_ARGS__))
#define EP_ACQUIRE(...) EP_TSA(acquire_capability(__VA_ARGS__))
#define EP_TRY_ACQUIRE(...) EP_TSA(try_acquire_capability(__VA_ARGS__))
#define EP_RELEASE(...) EP_TSA(release_capability(__VA_ARGS__))
#define EP_EXCLUDES(...) EP_TSA(locks_excluded(__VA_ARGS__))
#define EP_NO_THREAD_SAFETY_ANALYSIS EP_TSA(no_thread_safety_analysis)

// x keeps its value, and the compiler forgets where it came from: so that it holds on to no address
// or older form of it, which would cost an instruction on the fast path.
#define EP_OPAQUE(x) __asm__("" : "+r"(x))
// The compiler moves no access to memory across: a signal handler finds what was written above.
#define EP_IN_ORDER() __asm__ volatile("" : : : "memory")
// What the program has shown already and the compiler cannot see.
#define EP_ASSUME(x)                   \
  do {                                 \
    if (!(x)) __builtin_unreachable(); \
  } while (false)

// Built for the thread sanitizer: it knows of no race but between operations that are not atomic,
// and lets a program map in the lowest half terabyte and close to the top, nowhere else.
#if defined(__SANITIZE_THREAD__)
#define EP_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EP_THREAD_SANITIZER 1
#endif
#endif
#if !defined(EP_THREAD_SANITIZER)
#define EP_THREAD_SANITIZER 0
#endif

#define EP_LIKELY(x) __builtin_expect(!!(x), 1)
#define EP_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define EP_ALWAYS_INLINE inline __attribute__((always_inline))
#define EP_NOINLINE __attribute__((noinline))
