// CRC32C of longer data: three streams of the instruction, or tables.
#include "ring/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#else
#include <sys/auxv.h>
#endif

namespace elasticpool {
namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;  // reflected

constexpr uint32_t add_zero_bits(uint32_t crc, unsigned bits) {
  for (unsigned i = 0; i < bits; ++i) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
  return crc;
}

using Table = std::array<uint32_t, 256>;

constexpr Table make_byte_table() {
  Table table{};
  for (uint32_t i = 0; i < 256; ++i) table[i] = add_zero_bits(i, 8);
  return table;
}
constexpr Table kByteTable = make_byte_table();

// What a state becomes when kStreamBytes zero bytes follow: linear, so one table for each of its
// four bytes.
constexpr size_t kStreamBytes = 256;
using ShiftTables = std::array<Table, 4>;
constexpr ShiftTables make_shift_tables() {
  ShiftTables tables{};
  for (unsigned byte = 0; byte < 4; ++byte) {
    // By bits first: the 256 values of a byte are sums of eight.
    std::array<uint32_t, 8> of_bit{};
    for (unsigned bit = 0; bit < 8; ++bit) {
      uint32_t crc = uint32_t{1} << (8 * byte + bit);
      for (size_t i = 0; i < kStreamBytes; ++i) crc = (crc >> 8) ^ kByteTable[crc & 0xFF];
      of_bit[bit] = crc;
    }
    for (uint32_t value = 0; value < 256; ++value) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        if ((value >> bit & 1) != 0) tables[byte][value] ^= of_bit[bit];
      }
    }
  }
  return tables;
}
constexpr ShiftTables kShift = make_shift_tables();

uint32_t behind_a_stream(uint32_t crc) {
  return kShift[0][crc & 0xFF] ^ kShift[1][crc >> 8 & 0xFF] ^ kShift[2][crc >> 16 & 0xFF] ^
         kShift[3][crc >> 24];
}

uint64_t word_at(const uint8_t* p) {
  uint64_t word;
  memcpy(&word, p, sizeof(word));
  return word;
}

bool find_instruction() {
#if defined(__x86_64__)
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSE4_2) != 0;
#else
  constexpr unsigned long kHasCrc32 = 1UL << 7;  // HWCAP_CRC32
  return (getauxval(AT_HWCAP) & kHasCrc32) != 0;
#endif
}

}  // namespace

const bool kCrc32cInHardware = find_instruction();

uint32_t crc32c_add_by_table(uint32_t state, const void* data, size_t bytes) {
  const auto* p = static_cast<const uint8_t*>(data);
  for (size_t i = 0; i < bytes; ++i) state = (state >> 8) ^ kByteTable[(state ^ p[i]) & 0xFF];
  return state;
}

uint32_t crc32c_add(uint32_t state, const void* data, size_t bytes) {
  if (!kCrc32cInHardware) return crc32c_add_by_table(state, data, bytes);
  const auto* p = static_cast<const uint8_t*>(data);
  while (bytes >= 3 * kStreamBytes) {
    uint32_t second = 0;
    uint32_t third = 0;
    for (size_t i = 0; i < kStreamBytes; i += sizeof(uint64_t)) {
      state = crc32c_instruction(state, word_at(p + i));
      second = crc32c_instruction(second, word_at(p + kStreamBytes + i));
      third = crc32c_instruction(third, word_at(p + 2 * kStreamBytes + i));
    }
    state = behind_a_stream(behind_a_stream(state) ^ second) ^ third;
    p += 3 * kStreamBytes;
    bytes -= 3 * kStreamBytes;
  }
  for (; bytes >= sizeof(uint64_t); p += sizeof(uint64_t), bytes -= sizeof(uint64_t)) {
    state = crc32c_instruction(state, word_at(p));
  }
  return crc32c_add_by_table(state, p, bytes);
}

}  // namespace elasticpool
