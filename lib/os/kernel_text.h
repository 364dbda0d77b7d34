// Numbers in the texts that the kernel writes: of control groups and of /proc.
//
// Pure:    text in, numbers out.
// Errors   what is none of the known forms is refused, never guessed. A number above 64 bits is
//          UINT64_MAX: a limit that large limits nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace elasticpool {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Moves behind the digits; false, and value as it was, where there are none.
constexpr bool parse_decimal(const char*& cursor, uint64_t* value) {
  if (!is_digit(*cursor)) return false;
  uint64_t sum = 0;
  for (; is_digit(*cursor); ++cursor) {
    const auto digit = static_cast<uint64_t>(*cursor - '0');
    sum = sum > (UINT64_MAX - digit) / 10 ? UINT64_MAX : sum * 10 + digit;
  }
  *value = sum;
  return true;
}

// Digits alone, as memory.current.
constexpr bool parse_amount(const char* text, uint64_t* value) {
  uint64_t number = 0;
  if (!parse_decimal(text, &number) || (*text != '\0' && *text != '\n')) return false;
  *value = number;
  return true;
}

inline constexpr uint64_t kUnlimitedBytes = UINT64_MAX;

// The one number of a file as memory.max: "max", or digits alone. What no memory reaches is
// kUnlimitedBytes: version 1 says LONG_MAX, rounded down to pages, or -1.
constexpr bool parse_limit(const char* text, uint64_t* bytes) {
  constexpr uint64_t kLargestBytes = uint64_t{1} << 62;
  const char* cursor = text;
  const bool negative = cursor[0] == '-' && is_digit(cursor[1]);
  if (negative) ++cursor;
  uint64_t value = kUnlimitedBytes;
  if (cursor[0] == 'm' && cursor[1] == 'a' && cursor[2] == 'x') {
    cursor += 3;
  } else if (!parse_decimal(cursor, &value)) {
    return false;
  }
  if (*cursor != '\0' && *cursor != '\n') return false;
  *bytes = negative || value >= kLargestBytes ? kUnlimitedBytes : value;
  return true;
}

// The number behind `name` where a line begins with it: "inactive_file 4096", "MemTotal:   1 kB".
inline bool find_number(const char* text, const char* name, uint64_t* value) {
  const size_t name_bytes = strlen(name);
  for (const char* line = text; *line != '\0';) {
    if (strncmp(line, name, name_bytes) == 0) {
      const char* cursor = line + name_bytes;
      const char* const behind = cursor;
      while (*cursor == ' ' || *cursor == '\t') ++cursor;
      // "inactive_file" begins "inactive_file_x 1" as well.
      if (cursor != behind && parse_decimal(cursor, value)) return true;
    }
    line += strcspn(line, "\n");
    if (*line == '\n') ++line;
  }
  return false;
}

}  // namespace elasticpool
