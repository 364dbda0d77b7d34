// The few words that every scenario program is written in. For C and C++.
//
// A program states one contract of the interface. It prints nothing and exits 0 where the contract
// holds; it prints one line that says where and with what, and exits 1, where it does not. None of
// the helpers allocates, so a program may use them between two calls that it looks at.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition) CHECK_WITH(condition, "%s", "")
#define CHECK_WITH(condition, ...) \
  ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition, __VA_ARGS__))

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

// A value that no call leaves in errno by itself.
#define ERRNO_MARK 4242

__attribute__((noreturn, cold, format(printf, 4, 5))) static inline void check_failed(
    const char* file, int line, const char* condition, const char* format, ...) {
  char detail[200];
  va_list args;
  va_start(args, format);
  vsnprintf(detail, sizeof(detail), format, args);
  va_end(args);
  fprintf(stderr, "%s:%d: not true: %s  %s\n", file, line, condition, detail);
  _exit(1);
}

// Sizes on both sides of every border between the tiers, and well inside each.
static const size_t kTierSizes[] = {
    1,     8,        16,    24,        100, 1000,    4096,        10000,   32 * KIB, 32769,
    50000, 64 * KIB, 65537, 300 * KIB, MIB, 1048577, 2 * MIB + 3, 5 * MIB, 40 * MIB, 40 * MIB + 1};
static const size_t kTierSizeCount = COUNT_OF(kTierSizes);

// Sizes that no machine can serve: the answer is NULL and ENOMEM.
static const size_t kTooLarge[] = {
    SIZE_MAX,
    SIZE_MAX - 1,
    SIZE_MAX - 15,
    SIZE_MAX - 4095,
    SIZE_MAX - 2 * 1024 * 1024,
    (size_t)PTRDIFF_MAX + 1,
    (size_t)PTRDIFF_MAX,
    (size_t)PTRDIFF_MAX - 4095,
    (size_t)1 << 62,
    (size_t)1 << 48,
};
static const size_t kTooLargeCount = COUNT_OF(kTooLarge);

// The compiler knows nothing about what comes out, so it neither warns about it nor removes a call
// with it.
static inline size_t opaque(size_t value) {
  __asm__ volatile("" : "+r"(value));
  return value;
}

static inline void* opaque_pointer(void* pointer) {
  __asm__ volatile("" : "+r"(pointer) : : "memory");
  return pointer;
}

// Really looks: of what aligned_alloc returned the compiler believes the alignment.
static inline bool is_aligned(const void* pointer, size_t alignment) {
  return (opaque((size_t)pointer) & (alignment - 1)) == 0;
}

// splitmix64: the whole state is one word, so that a printed seed tells everything.
static inline uint64_t next_random(uint64_t* state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// A word wherever it lies, whatever else lies there.
typedef uint64_t AnyWord __attribute__((may_alias, aligned(1)));

static inline uint64_t pattern_word(size_t at, uint64_t seed) {
  return ((at + 1) * 0x9e3779b97f4a7c15u) ^ (seed * 0xbf58476d1ce4e5b9u);
}

// Writes a content that differs at every word and for every seed.
static inline void fill(void* block, size_t size, uint64_t seed) {
  char* bytes = (char*)block;
  size_t at = 0;
  for (; at + 8 <= size; at += 8) *(AnyWord*)(bytes + at) = pattern_word(at, seed);
  const uint64_t last = pattern_word(at, seed);
  memcpy(bytes + at, &last, size - at);
}

// Whether the first `size` bytes are what fill() wrote (perhaps over more bytes).
static inline bool is_filled(const void* block, size_t size, uint64_t seed) {
  const char* bytes = (const char*)block;
  size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    if (*(const AnyWord*)(bytes + at) != pattern_word(at, seed)) return false;
  }
  const uint64_t last = pattern_word(at, seed);
  return memcmp(bytes + at, &last, size - at) == 0;
}

static inline bool is_zero(const void* block, size_t size) {
  const char* bytes = (const char*)block;
  return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

// Pages of this process that are in memory now, in bytes.
static inline size_t resident_bytes(void) {
  char text[128];
  const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  CHECK(file >= 0);
  const ssize_t length = read(file, text, sizeof(text) - 1);
  CHECK(length > 0);
  close(file);
  text[length] = 0;
  unsigned long pages = 0;
  CHECK(sscanf(text, "%*u %lu", &pages) == 1);
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}
