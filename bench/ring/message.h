// What messages hold, so that every receiver can tell that it got the right one, whole.
//
//   word 0   number: of the sender 16 bits, in its order 48 bits
//   word 1   a hash of word 0
//   word 2   clock ticks when it was sent, where that is measured, else 0
//   rest     with Touch::kAll every word is word 1 plus its place; else nobody writes or reads it
#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

#include "ticks.h"

// Something is not as it must be: the benchmark ends with it.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// This machine or this peer cannot do that; it is told, and the rest goes on.
struct Unable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// kNothing: of the ring alone, whose header has room for a number.
enum class Touch { kNothing, kFirstLine, kAll };

struct MessageForm {
  size_t bytes = 64;
  Touch touch = Touch::kFirstLine;
  bool is_stamped = false;
};

inline constexpr unsigned kSenderShift = 48;
// The last message of a sender that has no other way to say so.
inline constexpr uint64_t kEndNumber = UINT64_MAX;
inline constexpr size_t kHeadWords = 3;

inline uint64_t first_number(unsigned sender) { return uint64_t{sender} << kSenderShift; }

inline uint64_t mixed(uint64_t number) {
  number = (number ^ (number >> 31)) * 0x9E3779B97F4A7C15ULL;
  return number ^ (number >> 29);
}

inline void write_message(void* at, const MessageForm& form, uint64_t number) {
  auto* words = static_cast<uint64_t*>(at);
  const uint64_t check = mixed(number);
  if (form.touch == Touch::kAll) {
    for (size_t i = kHeadWords; i < form.bytes / sizeof(uint64_t); ++i) words[i] = check + i;
  }
  words[0] = number;
  words[1] = check;
  words[2] = form.is_stamped ? ticks() : 0;
}

struct Arrival {
  uint64_t number = 0;
  uint64_t sent_ticks = 0;
};

inline Arrival read_message(const void* at, size_t bytes, const MessageForm& form) {
  const auto* words = static_cast<const uint64_t*>(at);
  const Arrival arrival{words[0], words[2]};
  const uint64_t check = mixed(arrival.number);
  if (bytes != form.bytes) throw Failure("a message of " + std::to_string(bytes) + " bytes");
  bool is_right = words[1] == check;
  if (form.touch == Touch::kAll) {
    for (size_t i = kHeadWords; i < form.bytes / sizeof(uint64_t); ++i) {
      is_right &= words[i] == check + i;
    }
  }
  if (!is_right) throw Failure("wrong contents in message " + std::to_string(arrival.number));
  return arrival;
}
