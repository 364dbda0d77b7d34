// See text_writer.h.
#include "base/text_writer.h"

#include <cstring>

#include "base/units.h"

namespace elasticpool {
namespace {

// 20 digits hold any 64-bit number.
struct Digits {
  char text[20];
  size_t count = 0;

  explicit Digits(uint64_t value) {
    char reversed[sizeof text];
    do {
      reversed[count++] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < count; ++i) text[i] = reversed[count - 1 - i];
  }
};

}  // namespace

TextWriter& TextWriter::bytes(const char* s, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (used_ == capacity_) flush();
    if (used_ == capacity_) {
      truncated_ = true;
      return *this;
    }
    buffer_[used_++] = s[i];
    column_ = s[i] == '\n' ? 0 : column_ + 1;
  }
  return *this;
}

TextWriter& TextWriter::text(const char* s) { return bytes(s, strlen(s)); }

TextWriter& TextWriter::decimal(uint64_t value) {
  const Digits digits(value);
  return bytes(digits.text, digits.count);
}

TextWriter& TextWriter::hex(uint64_t value) {
  char reversed[16];
  size_t count = 0;
  do {
    reversed[count++] = "0123456789abcdef"[value & 15];
    value >>= 4;
  } while (value != 0);
  text("0x");
  while (count > 0) bytes(&reversed[--count], 1);
  return *this;
}

TextWriter& TextWriter::fixed(uint64_t value, unsigned digits) {
  uint64_t scale = 1;
  for (unsigned i = 0; i < digits; ++i) scale *= 10;
  decimal(value / scale);
  if (digits == 0) return *this;
  text(".");
  for (uint64_t rest = value % scale, s = scale / 10; s != 0; s /= 10) {
    const char digit = static_cast<char>('0' + rest / s % 10);
    bytes(&digit, 1);
  }
  return *this;
}

TextWriter& TextWriter::human_bytes(uint64_t value) {
  static constexpr const char* kUnits[] = {" B", " KiB", " MiB", " GiB", " TiB"};
  if (value < 1024) return decimal(value).text(kUnits[0]);
  unsigned unit = 0;
  uint64_t tenths = value;
  while (tenths >= 1024 && unit < 4) {
    // The last step keeps one digit behind the point.
    if (tenths < kMiB || unit == 3) {
      tenths = (tenths * 10 + 512) / 1024;
      ++unit;
      break;
    }
    tenths /= 1024;
    ++unit;
  }
  return fixed(tenths, 1).text(kUnits[unit]);
}

TextWriter& TextWriter::percent(uint64_t part, uint64_t whole) {
  if (whole == 0) return text("-");
  const auto tenths =
      static_cast<uint64_t>(static_cast<double>(part) * 1000.0 / static_cast<double>(whole) + 0.5);
  return fixed(tenths, 1).text("%");
}

TextWriter& TextWriter::pad_to(size_t column) {
  while (column_ < column && !truncated_) text(" ");
  return *this;
}

TextWriter& TextWriter::decimal_at(size_t column, uint64_t value) {
  const Digits digits(value);
  if (column > digits.count) pad_to(column - digits.count);
  return bytes(digits.text, digits.count);
}

void TextWriter::flush() {
  if (sink_ == nullptr || used_ == 0) return;
  sink_(context_, buffer_, used_);
  used_ = 0;
}

}  // namespace elasticpool
