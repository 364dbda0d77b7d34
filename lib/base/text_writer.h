// Text into a fixed buffer: numbers, padding, sizes, without allocating.
//
// Threads    one writer, one thread.
// Invariant  size() <= capacity; what does not fit is dropped and truncated() says so. With a sink
//            the buffer is handed on when it is full, and nothing is dropped.
#pragma once

#include <cstddef>
#include <cstdint>

namespace elasticpool {

class TextWriter {
 public:
  using Sink = void (*)(void* context, const char* bytes, size_t count);

  TextWriter(char* buffer, size_t capacity, Sink sink = nullptr, void* context = nullptr)
      : buffer_(buffer), capacity_(capacity), sink_(sink), context_(context) {}
  TextWriter(const TextWriter&) = delete;
  TextWriter& operator=(const TextWriter&) = delete;

  TextWriter& text(const char* s);
  TextWriter& bytes(const char* s, size_t count);
  TextWriter& decimal(uint64_t value);
  TextWriter& hex(uint64_t value);
  // `value / 10^digits` with that many digits behind the point: fixed(1234, 2) is 12.34.
  TextWriter& fixed(uint64_t value, unsigned digits);
  // For a person: "512 B", "1.5 KiB", "64.0 MiB"; one digit behind the point.
  TextWriter& human_bytes(uint64_t value);
  // part of whole in per cent with one digit behind the point; "-" where whole is 0.
  TextWriter& percent(uint64_t part, uint64_t whole);
  // Spaces up to column `column` of the current line, at least one unless it is there already.
  TextWriter& pad_to(size_t column);
  // decimal(value) right-aligned so that it ends at `column`.
  TextWriter& decimal_at(size_t column, uint64_t value);

  // To the sink, if there is one.
  void flush();

  const char* data() const { return buffer_; }
  size_t size() const { return used_; }
  bool truncated() const { return truncated_; }

 private:
  char* buffer_;
  size_t capacity_;
  Sink sink_;
  void* context_;
  size_t used_ = 0;
  size_t column_ = 0;
  bool truncated_ = false;
};

}  // namespace elasticpool
