// The text forms that options have: sizes, file names, and how alike two names are.
//
// Pure: no state, no lock, no system call.
// Threads  any.
// Cost     linear in the text, edit_distance() in the product of the two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/text_writer.h"

namespace elasticpool {

enum class SizeError : uint8_t { kNone, kNotASize, kTooLarge };

struct ParsedSize {
  uint64_t bytes = 0;
  SizeError error = SizeError::kNone;
};

// Decimal digits and at most one of K M G T (or k m g t) for powers of 1024; nothing else, no sign,
// no space. kTooLarge: over 2^64 - 1.
ParsedSize parse_size(std::string_view text);

// The shortest form that parse_size() reads back: "64K", "1000", "0".
TextWriter& write_size(TextWriter& out, uint64_t bytes);

// Four numbers from 1 to 100 between commas, each above the one before; nothing else.
bool parse_percents(std::string_view text, uint8_t (&percents)[4]);

// off, stderr, syslog, a path from / on, or exec: and a command.
bool is_target(std::string_view text);

// Every byte that is no printable ASCII as '?', and only the first `bytes_max` with "..." behind.
TextWriter& write_printable(TextWriter& out, std::string_view text, size_t bytes_max);

// Levenshtein's: the fewest insertions, deletions and replacements of one character; upper and
// lower case are the same. Both are cut to kEditBytesMax.
inline constexpr size_t kEditBytesMax = 63;
size_t edit_distance(std::string_view a, std::string_view b);

// `pattern` with %p as the decimal process id and %% as %; any other % stands for itself.
// Writes a NUL-terminated name of at most capacity - 1 bytes. False, and an empty name where there
// is room for one: it does not fit.
bool expand_path(std::string_view pattern, int process_id, char* path, size_t capacity);

}  // namespace elasticpool
