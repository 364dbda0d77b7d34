// options.def as data: what an option is called, what it may be, what it is for.
//
// Threads    constant.
// Invariant  names are distinct and written A-Z and _; min <= fallback <= max; a choice has its
//            words in the order of its enumerators, so that its value is an index into them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/units.h"

namespace elasticpool {

inline constexpr std::string_view kOptionPrefix = "MEMPOOL_";

enum class OptionKind : uint8_t { kChoice, kSize, kLimit, kPercents, kPath, kTarget };

struct ChoiceWord {
  const char* word;
  const char* alias;  // "" for none
};

inline constexpr size_t kChoiceWordsMax = 4;

// A limit's value where it is no size but the word of that index.
constexpr uint64_t limit_word(size_t index) { return UINT64_MAX - index; }
// The index; kChoiceWordsMax for a size.
constexpr size_t word_of_limit(uint64_t value) {
  return UINT64_MAX - value < kChoiceWordsMax ? static_cast<size_t>(UINT64_MAX - value)
                                              : kChoiceWordsMax;
}
// The first word of each: auto of MEMPOOL_LIMIT, off of the others.
inline constexpr uint64_t kNoLimit = limit_word(0);
// The others of MEMPOOL_LIMIT.
inline constexpr uint64_t kLimitOff = limit_word(1);
inline constexpr uint64_t kLimitOfGroup = limit_word(2);

inline constexpr size_t kLevelCount = 4;

struct LevelPercents {
  uint8_t percents[kLevelCount];
};
constexpr uint64_t pack_levels(unsigned a, unsigned b, unsigned c, unsigned d) {
  return uint64_t{a} | uint64_t{b} << 8 | uint64_t{c} << 16 | uint64_t{d} << 24;
}
constexpr LevelPercents unpack_levels(uint64_t packed) {
  return {{static_cast<uint8_t>(packed), static_cast<uint8_t>(packed >> 8),
           static_cast<uint8_t>(packed >> 16), static_cast<uint8_t>(packed >> 24)}};
}

struct OptionInfo {
  const char* name;  // without the prefix
  OptionKind kind;
  uint64_t fallback;  // kSize: bytes; kChoice: index of the word; kLimit, kPercents: as above
  uint64_t min;       // kSize, kLimit
  uint64_t max;       // kSize, kLimit
  ChoiceWord words[kChoiceWordsMax + 1];  // kChoice, kLimit; the first without a word ends them
  const char* sentence;
};

#define EP_CHOICE(NAME, member, Type, fallback, words, sentence) +1
#define EP_SIZE(NAME, member, fallback_bytes, min_bytes, max_bytes, sentence) +1
#define EP_LIMIT(NAME, member, words, sentence) +1
#define EP_LEVELS(NAME, member, first, second, third, fourth, sentence) +1
#define EP_PATH(NAME, member, sentence) +1
#define EP_TARGET(NAME, member, sentence) +1
inline constexpr size_t kOptionCount = 0
#include "tune/options.def"
    ;

// The values of the choices.
#define EP_WORD(enumerator, word, alias) enumerator,
#define EP_CHOICE(NAME, member, Type, fallback, words, sentence) \
  enum class Type : uint8_t { words };
#include "tune/options.def"

inline constexpr uint64_t kLimitBytesMin = 1 * kMiB;
inline constexpr uint64_t kLimitBytesMax = 1048576 * kGiB;

// In the order of options.def.
#define EP_WORD(enumerator, word, alias) {word, alias},
#define EP_CHOICE(NAME, member, Type, fallback, words, sentence) \
  {#NAME, OptionKind::kChoice, static_cast<uint64_t>(Type::fallback), 0, 0, {words}, sentence},
#define EP_SIZE(NAME, member, fallback_bytes, min_bytes, max_bytes, sentence) \
  {#NAME, OptionKind::kSize, fallback_bytes, min_bytes, max_bytes, {}, sentence},
#define EP_LIMIT(NAME, member, words, sentence) \
  {#NAME, OptionKind::kLimit, kNoLimit, kLimitBytesMin, kLimitBytesMax, {words}, sentence},
#define EP_LEVELS(NAME, member, first, second, third, fourth, sentence) \
  {#NAME, OptionKind::kPercents, pack_levels(first, second, third, fourth), 0, 0, {}, sentence},
#define EP_PATH(NAME, member, sentence) {#NAME, OptionKind::kPath, 0, 0, 0, {}, sentence},
#define EP_TARGET(NAME, member, sentence) {#NAME, OptionKind::kTarget, 0, 0, 0, {}, sentence},
inline constexpr OptionInfo kOptionTable[kOptionCount] = {
#include "tune/options.def"
};

// `name` without the prefix, exactly; kOptionCount when there is none.
size_t find_option(std::string_view name);
// The option whose name takes the fewest edits to reach; the first of several.
const OptionInfo& nearest_option(std::string_view name);

// What the option may be, for a person: "off, on, json", "64K to 64M", "a file name".
// Returns the length; NUL-terminated and cut to `capacity` > 0.
size_t describe_range(const OptionInfo& info, char* text, size_t capacity);

}  // namespace elasticpool
