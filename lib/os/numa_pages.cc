// See numa_pages.h.
#include "os/numa_pages.h"

#include <fcntl.h>

#include <cstring>

#include "os/syscall.h"

namespace elasticpool {
namespace {

bool read_number(const char*& cursor, unsigned base, uint64_t* value) {
  const char* const start = cursor;
  for (*value = 0;; ++cursor) {
    const char c = *cursor;
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
    if (static_cast<unsigned>(digit) >= base) return cursor != start;
    *value = *value * base + static_cast<unsigned>(digit);
  }
}

}  // namespace

void NumaMapsParser::feed(const char* bytes, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (bytes[i] == ' ' || bytes[i] == '\n') {
      end_word();
      if (bytes[i] == '\n') end_line();
    } else if (word_bytes_ < sizeof word_) {
      word_[word_bytes_++] = bytes[i];
    }
  }
}

void NumaMapsParser::end_word() {
  const bool whole = word_bytes_ < sizeof word_;
  word_[whole ? word_bytes_ : 0] = '\0';
  word_bytes_ = 0;
  constexpr char kPageSize[] = "kernelpagesize_kB=";
  const char* cursor = word_;
  uint64_t number = 0;
  if (first_word_) {
    first_word_ = false;
    if (!read_number(cursor, 16, &number)) return;
    for (PagesOfRange& range : ranges_) {
      if (number >= range.start && number < range.end) range_ = &range;
    }
  } else if (strncmp(word_, kPageSize, sizeof kPageSize - 1) == 0) {
    cursor += sizeof kPageSize - 1;
    if (read_number(cursor, 10, &number)) page_kib_ = number;
  } else if (word_[0] == 'N') {
    ++cursor;
    uint64_t pages = 0;
    if (!read_number(cursor, 10, &number) || *cursor++ != '=') return;
    if (read_number(cursor, 10, &pages)) pages_[number % kNodesMax] += pages;
  }
}

void NumaMapsParser::end_line() {
  for (size_t row = 0; row < kNodesMax; ++row) {
    if (range_ != nullptr) range_->resident_bytes[row] += pages_[row] * page_kib_ * kKiB;
    pages_[row] = 0;
  }
  range_ = nullptr;
  page_kib_ = 0;
  first_word_ = true;
}

bool numa_resident_pages(std::span<PagesOfRange> ranges) {
  const long fd = system_call(SYS_openat, AT_FDCWD, reinterpret_cast<long>("/proc/self/numa_maps"),
                              O_RDONLY | O_CLOEXEC);
  if (failed(fd)) return false;
  NumaMapsParser parser(ranges);
  char text[1024];
  long count = 0;
  do {
    count = system_call(SYS_read, fd, reinterpret_cast<long>(text), sizeof text);
    if (!failed(count)) parser.feed(text, static_cast<size_t>(count));
  } while (!failed(count) && count > 0);
  system_call(SYS_close, fd);
  return !failed(count);
}

}  // namespace elasticpool
