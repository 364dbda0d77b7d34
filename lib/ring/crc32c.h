// CRC32C (Castagnoli), in hardware where the processor has it.
//
// Threads  any; pure functions.
// Cost     a 64-byte header some 8 ns; longer data in three streams at once (Gopal and others,
//          "Fast CRC computation using the CRC32 instruction", Intel 2011), joined by tables that
//          the compiler makes: 64 KiB some 3 us.
// Origin   the polynomial of iSCSI (RFC 3720), 0x1EDC6F41, reflected; begins and ends inverted.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/annotations.h"

namespace elasticpool {

// In parts: crc32c_end(crc32c_add(crc32c_begin(), ..)).
constexpr uint32_t crc32c_begin() { return ~uint32_t{0}; }
constexpr uint32_t crc32c_end(uint32_t state) { return ~state; }
uint32_t crc32c_add(uint32_t state, const void* data, size_t bytes);
// What is used where the instruction is missing.
uint32_t crc32c_add_by_table(uint32_t state, const void* data, size_t bytes);

inline uint32_t crc32c(const void* data, size_t bytes) {
  return crc32c_end(crc32c_add(crc32c_begin(), data, bytes));
}

// Whether the processor has the instruction: found out when the library is loaded.
extern const bool kCrc32cInHardware;

// The instruction itself; only where it is there. (Inline assembly: the rest of the library stays
// code for every processor.)
EP_ALWAYS_INLINE uint32_t crc32c_instruction(uint32_t state, uint64_t word) {
#if defined(__x86_64__)
  uint64_t wide = state;
  __asm__("crc32q %1, %0" : "+r"(wide) : "rm"(word));
  return static_cast<uint32_t>(wide);
#else
  __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %1" : "+r"(state) : "r"(word));
  return state;
#endif
}

EP_ALWAYS_INLINE uint32_t crc32c_add_word(uint32_t state, uint64_t word) {
  if (EP_LIKELY(kCrc32cInHardware)) return crc32c_instruction(state, word);
  return crc32c_add_by_table(state, &word, sizeof(word));
}

}  // namespace elasticpool
