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

enum class OptionKind : uint8_t { kChoice, kSize, kPath };

struct ChoiceWord {
  const char* word;
  const char* alias;  // "" for none
};

inline constexpr size_t kChoiceWordsMax = 4;

struct OptionInfo {
  const char* name;  // without the prefix
  OptionKind kind;
  uint64_t fallback;                      // kSize: bytes; kChoice: index of the word
  uint64_t min;                           // kSize
  uint64_t max;                           // kSize
  ChoiceWord words[kChoiceWordsMax + 1];  // kChoice; the first without a word ends them
  const char* sentence;
};

#define EP_CHOICE(NAME, member, Type, fallback, words, sentence) +1
#define EP_SIZE(NAME, member, fallback_bytes, min_bytes, max_bytes, sentence) +1
#define EP_PATH(NAME, member, sentence) +1
inline constexpr size_t kOptionCount = 0
#include "tune/options.def"
    ;

// The values of the choices.
#define EP_WORD(enumerator, word, alias) enumerator,
#define EP_CHOICE(NAME, member, Type, fallback, words, sentence) \
  enum class Type : uint8_t { words };
#include "tune/options.def"

// In the order of options.def.
#define EP_WORD(enumerator, word, alias) {word, alias},
#define EP_CHOICE(NAME, member, Type, fallback, words, sentence) \
  {#NAME, OptionKind::kChoice, static_cast<uint64_t>(Type::fallback), 0, 0, {words}, sentence},
#define EP_SIZE(NAME, member, fallback_bytes, min_bytes, max_bytes, sentence) \
  {#NAME, OptionKind::kSize, fallback_bytes, min_bytes, max_bytes, {}, sentence},
#define EP_PATH(NAME, member, sentence) {#NAME, OptionKind::kPath, 0, 0, 0, {}, sentence},
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
