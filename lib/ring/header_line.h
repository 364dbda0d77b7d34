// The header line of a message: sealed by its producer, checked by whoever reads it.
//
// Threads     any.
// Checksum    CRC32C over words 1 to 6, the payload's checksum and, last, the sequence: so a
//             producer that loses its sequence to another adds one word only to seal it again.
// Trust       open_header() works on a copy: what it has checked does not change any more. That
//             offset and size lie within the pool is for who knows the pool (pool.h).
// Cost        some 10 ns.
#pragma once

#include <bit>
#include <cstddef>
#include <cstring>

#include "ring/crc32c.h"
#include "ring/layout.h"

namespace elasticpool {

struct HeaderWords {
  uint64_t word[kHeaderWords];
};
static_assert(sizeof(HeaderWords) == sizeof(MessageHeader));

// The same bytes as bit_cast, put together in registers: reading eight bytes that were just written
// as two and four makes a processor wait until they are out of its store buffer.
inline HeaderWords pack_header(const MessageHeader& header) {
  return {{header.sequence,
           uint64_t{header.tag} << 32 | uint64_t{header.flags} << 16 | header.magic, header.offset,
           header.size_bytes, header.timestamp_ns, header.key,
           uint64_t{header.references} << 48 | uint64_t{header.producer} << 32 | header.block,
           uint64_t{header.checksum} << 32 | header.payload_checksum}};
}
// The other way round, for the same reason.
inline MessageHeader unpack_header(const HeaderWords& words) {
  const auto low = [&words](unsigned i) { return static_cast<uint32_t>(words.word[i]); };
  const auto high = [&words](unsigned i) { return static_cast<uint32_t>(words.word[i] >> 32); };
  return {.sequence = words.word[0],
          .magic = static_cast<uint16_t>(low(1)),
          .flags = static_cast<uint16_t>(low(1) >> 16),
          .tag = high(1),
          .offset = words.word[2],
          .size_bytes = words.word[3],
          .timestamp_ns = words.word[4],
          .key = words.word[5],
          .block = low(6),
          .producer = static_cast<uint16_t>(high(6)),
          .references = static_cast<uint16_t>(high(6) >> 16),
          .payload_checksum = low(7),
          .checksum = high(7)};
}
static_assert(std::endian::native == std::endian::little);

constexpr size_t kChecksumWord = kHeaderWords - 1;
static_assert(kHeaderWords == 8);

// The state behind all that does not depend on the sequence.
inline uint32_t header_checksum_prefix(const HeaderWords& words) {
  uint32_t state = crc32c_begin();
  const uint64_t payload_checksum = static_cast<uint32_t>(words.word[kChecksumWord]);
  if (EP_UNLIKELY(!kCrc32cInHardware)) {
    state = crc32c_add_by_table(state, &words.word[1], (kHeaderWords - 2) * sizeof(uint64_t));
    return crc32c_add_word(state, payload_checksum);
  }
  for (size_t i = 1; i < kChecksumWord; ++i) state = crc32c_instruction(state, words.word[i]);
  return crc32c_instruction(state, payload_checksum);
}

inline void seal_header(HeaderWords& words, uint32_t prefix, uint64_t sequence) {
  words.word[0] = sequence;
  const uint64_t checksum = crc32c_end(crc32c_add_word(prefix, sequence));
  words.word[kChecksumWord] = checksum << 32 | static_cast<uint32_t>(words.word[kChecksumWord]);
}

// The words but for the sequence; then the sequence, which publishes them.
inline void store_header_body(SharedLine& line, const HeaderWords& words) {
  const auto store = [&](size_t i) { line.words[i].store_relaxed(words.word[i]); };
  // No loop: so they come from registers (pack_header()).
  store(1), store(2), store(3), store(4), store(5), store(6), store(7);
}
inline void store_header_sequence(SharedLine& line, uint64_t sequence) {
  line.words[0].store_release(sequence);
}

// The block that a line names, not checked: for who checks that the block is of this sequence.
inline uint32_t block_in(const SharedLine& line) {
  constexpr size_t kWord = offsetof(MessageHeader, block) / sizeof(uint64_t);
  static_assert(offsetof(MessageHeader, block) % sizeof(uint64_t) == 0);
  return static_cast<uint32_t>(line.words[kWord].load_relaxed());
}

// A copy of a line that said this sequence; the words behind that may be torn, or anything.
inline HeaderWords copy_header(const SharedLine& line, uint64_t sequence) {
  const auto word = [&line](size_t i) { return line.words[i].load_relaxed(); };
  return {{sequence, word(1), word(2), word(3), word(4), word(5), word(6), word(7)}};
}
inline bool is_whole(const HeaderWords& words) {
  const uint64_t sequence = words.word[0];
  const uint32_t checksum = crc32c_end(crc32c_add_word(header_checksum_prefix(words), sequence));
  return static_cast<uint16_t>(words.word[1]) == kMessageMagic &&
         static_cast<uint32_t>(words.word[kChecksumWord] >> 32) == checksum;
}

// A copy of the line if it is the whole header of this sequence; false: it is not there, or torn.
inline bool open_header(const SharedLine& line, uint64_t sequence, MessageHeader* header) {
  if (line.words[0].load_acquire() != sequence) return false;
  const HeaderWords words = copy_header(line, sequence);
  *header = unpack_header(words);
  return is_whole(words);
}

}  // namespace elasticpool
