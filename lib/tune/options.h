// The MEMPOOL_* variables of this process, read once.
//
// Threads    load_options(): once, at boot, before there is a second thread. The rest: any.
// Invariant  options() holds the defaults before load_options(), and never changes after it; every
//            value lies in its range whatever the environment says.
// Errors     an unknown variable or a bad value is one line to the sink; the default holds. A
//            variable that is set to nothing counts as not set.
// Cost       options() is the address of a global.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tune/option_table.h"

namespace elasticpool {

struct Options {
#define EP_CHOICE(NAME, member, Type, fallback, words, sentence) Type member = Type::fallback;
#define EP_SIZE(NAME, member, fallback_bytes, min_bytes, max_bytes, sentence) \
  size_t member = fallback_bytes;
#define EP_LIMIT(NAME, member, words, sentence) uint64_t member = kNoLimit;
#define EP_LEVELS(NAME, member, first, second, third, fourth, sentence) \
  LevelPercents member = {{first, second, third, fourth}};
#define EP_PATH(NAME, member, sentence) const char* member = "";
#define EP_TARGET(NAME, member, sentence) const char* member = "";
#include "tune/options.def"
};

// Only for options() below: an inline function cannot read what it cannot see.
extern Options g_options;
inline const Options& options() { return g_options; }

// One line with its newline. Bytes of the environment that would not print come as '?'.
using Diagnose = void (*)(const char* line, size_t line_bytes);

// `environment` as in environ(7), or nullptr; it is not referred to afterwards. `secure`: the
// process has more rights than its caller (AT_SECURE); variables that name files are then refused.
// A second call starts from the defaults again (for tests).
void load_options(const char* const* environment, bool secure, Diagnose diagnose);

// One option and its value, as text that lives as long as the call.
struct OptionState {
  const OptionInfo& info;
  const char* value;
  const char* fallback;
  bool is_set;
};
using OptionVisitor = void (*)(void* context, const OptionState& state);

// In the order of the table.
void for_each_option(OptionVisitor visit, void* context);

}  // namespace elasticpool
