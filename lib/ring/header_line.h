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
static_assert(std::endian::native == std::endian::little);

constexpr size_t kChecksumWord = kHeaderWords - 1;

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
  for (size_t i = 1; i < kHeaderWords; ++i) line.words[i].store_relaxed(words.word[i]);
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

// A copy of the line if it is the whole header of this sequence; false: it is not there, or torn.
inline bool open_header(const SharedLine& line, uint64_t sequence, MessageHeader* header) {
  HeaderWords words;
  words.word[0] = line.words[0].load_acquire();
  if (words.word[0] != sequence) return false;
  for (size_t i = 1; i < kHeaderWords; ++i) words.word[i] = line.words[i].load_relaxed();
  *header = std::bit_cast<MessageHeader>(words);
  const uint32_t checksum = crc32c_end(crc32c_add_word(header_checksum_prefix(words), sequence));
  return static_cast<uint16_t>(words.word[1]) == kMessageMagic &&
         static_cast<uint32_t>(words.word[kChecksumWord] >> 32) == checksum;
}

}  // namespace elasticpool
