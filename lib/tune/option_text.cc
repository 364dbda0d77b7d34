// See option_text.h.
#include "tune/option_text.h"

#include <algorithm>
#include <cstdint>

namespace elasticpool {
namespace {

constexpr std::string_view kSuffixes = "KMGT";

char to_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c; }

// The bits that a suffix shifts by; 0 for none.
unsigned suffix_shift(char c) {
  for (size_t i = 0; i < kSuffixes.size(); ++i) {
    if (to_upper(c) == kSuffixes[i]) return 10 * (static_cast<unsigned>(i) + 1);
  }
  return 0;
}

}  // namespace

ParsedSize parse_size(std::string_view text) {
  const unsigned shift = text.empty() ? 0 : suffix_shift(text.back());
  if (shift != 0) text.remove_suffix(1);
  if (text.empty()) return {0, SizeError::kNotASize};
  uint64_t value = 0;
  bool fits = true;
  for (const char c : text) {
    if (c < '0' || c > '9') return {0, SizeError::kNotASize};
    const auto digit = static_cast<uint64_t>(c - '0');
    fits = fits && value <= (UINT64_MAX - digit) / 10;
    value = value * 10 + digit;
  }
  if (!fits || value > (UINT64_MAX >> shift)) return {0, SizeError::kTooLarge};
  return {value << shift, SizeError::kNone};
}

bool parse_percents(std::string_view text, uint8_t (&percents)[4]) {
  unsigned before = 0;
  for (size_t i = 0; i < 4; ++i) {
    unsigned value = 0;
    size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9' && digits < 4) {
      value = value * 10 + static_cast<unsigned>(text[digits++] - '0');
    }
    if (digits == 0 || value <= before || value > 100) return false;
    percents[i] = static_cast<uint8_t>(value);
    before = value;
    text.remove_prefix(digits);
    if (i == 3) break;
    if (text.empty() || text.front() != ',') return false;
    text.remove_prefix(1);
  }
  return text.empty();
}

bool is_target(std::string_view text) {
  constexpr std::string_view kCommand = "exec:";
  if (text == "off" || text == "stderr" || text == "syslog") return true;
  // Not starts_with(): it may call what throws, and there is no libstdc++ here.
  const std::string_view begin(text.data(), std::min(text.size(), kCommand.size()));
  if (begin == kCommand) return text.size() > kCommand.size();
  return !text.empty() && text.front() == '/';
}

TextWriter& write_size(TextWriter& out, uint64_t bytes) {
  size_t suffixes = 0;
  while (bytes != 0 && bytes % 1024 == 0 && suffixes < kSuffixes.size()) {
    bytes /= 1024;
    ++suffixes;
  }
  out.decimal(bytes);
  return suffixes == 0 ? out : out.bytes(&kSuffixes[suffixes - 1], 1);
}

TextWriter& write_printable(TextWriter& out, std::string_view text, size_t bytes_max) {
  for (size_t i = 0; i < std::min(text.size(), bytes_max); ++i) {
    const char c = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    out.bytes(&c, 1);
  }
  return text.size() > bytes_max ? out.text("...") : out;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  const size_t a_bytes = std::min(a.size(), kEditBytesMax);
  const size_t b_bytes = std::min(b.size(), kEditBytesMax);
  // row[j]: the distance of the part of `a` that was read to the first j bytes of b.
  size_t row[kEditBytesMax + 1];
  for (size_t j = 0; j <= b_bytes; ++j) row[j] = j;
  for (size_t i = 0; i < a_bytes; ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b_bytes; ++j) {
      const size_t replaced = diagonal + (to_upper(a[i]) == to_upper(b[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b_bytes];
}

bool expand_path(std::string_view pattern, int process_id, char* path, size_t capacity) {
  if (capacity == 0) return false;
  TextWriter out(path, capacity - 1);
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char following = i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    if (pattern[i] == '%' && following == 'p') {
      out.decimal(static_cast<uint64_t>(process_id));
      ++i;
    } else {
      out.bytes(&pattern[i], 1);
      if (pattern[i] == '%' && following == '%') ++i;
    }
  }
  path[out.truncated() ? 0 : out.size()] = '\0';
  return !out.truncated();
}

}  // namespace elasticpool
