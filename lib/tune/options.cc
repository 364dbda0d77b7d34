// See options.h. A value is parsed to a number (bytes, or the index of a word) or copied as a path,
// then the struct is filled from these in the order of the table.
#include "tune/options.h"

#include <cstring>

#include "base/text_writer.h"
#include "tune/option_text.h"

namespace elasticpool {

constinit Options g_options;

namespace {

// Long enough for any message: a range and a value that is cut.
constexpr size_t kLineBytesMax = 320;
constexpr size_t kEchoBytesMax = 64;
constexpr size_t kRangeBytesMax = 64;
constexpr size_t kPathBytesMax = 1024;

#define EP_PATH(NAME, member, sentence) +1
#define EP_TARGET(NAME, member, sentence) +1
constexpr size_t kPathCount = 0
#include "tune/options.def"
    ;

constexpr bool is_text(OptionKind kind) {
  return kind == OptionKind::kPath || kind == OptionKind::kTarget;
}

struct Loaded {
  // kPath, kTarget: the index of the text.
  uint64_t number = 0;
  bool is_set = false;
};

struct State {
  Loaded loaded[kOptionCount];
};

constexpr State defaults() {
  State state;
  uint64_t paths = 0;
  for (size_t i = 0; i < kOptionCount; ++i) {
    const OptionInfo& info = kOptionTable[i];
    state.loaded[i].number = is_text(info.kind) ? paths++ : info.fallback;
  }
  return state;
}

constinit State g_state = defaults();
// A copy: programs change their environment.
constinit char g_paths[kPathCount][kPathBytesMax];

enum class Verdict : uint8_t { kGood, kMalformed, kOutOfRange, kTooLong, kRefused };

struct Variable {
  std::string_view name;  // without the prefix
  std::string_view value;
};

// False: not of ours.
bool split(const char* entry, Variable& variable) {
  if (strncmp(entry, kOptionPrefix.data(), kOptionPrefix.size()) != 0) return false;
  const char* name = entry + kOptionPrefix.size();
  const char* equals = strchr(name, '=');
  if (equals == nullptr) return false;
  variable.name = {name, static_cast<size_t>(equals - name)};
  variable.value = equals + 1;
  return true;
}

Verdict parse_choice(const OptionInfo& info, std::string_view text, uint64_t& index) {
  for (uint64_t i = 0; info.words[i].word != nullptr; ++i) {
    if (text == info.words[i].word || text == info.words[i].alias) {
      index = i;
      return Verdict::kGood;
    }
  }
  return Verdict::kMalformed;
}

Verdict parse_bytes(const OptionInfo& info, std::string_view text, uint64_t& bytes) {
  const ParsedSize parsed = parse_size(text);
  if (parsed.error == SizeError::kNotASize) return Verdict::kMalformed;
  if (parsed.error == SizeError::kTooLarge) return Verdict::kOutOfRange;
  if (parsed.bytes < info.min || parsed.bytes > info.max) return Verdict::kOutOfRange;
  bytes = parsed.bytes;
  return Verdict::kGood;
}

Verdict parse_limit(const OptionInfo& info, std::string_view text, uint64_t& value) {
  uint64_t index = 0;
  if (parse_choice(info, text, index) != Verdict::kGood) return parse_bytes(info, text, value);
  value = limit_word(index);
  return Verdict::kGood;
}

Verdict parse_levels(std::string_view text, uint64_t& packed) {
  uint8_t percents[kLevelCount];
  if (!parse_percents(text, percents)) return Verdict::kMalformed;
  packed = pack_levels(percents[0], percents[1], percents[2], percents[3]);
  return Verdict::kGood;
}

Verdict parse_path(std::string_view text, bool secure, char (&path)[kPathBytesMax]) {
  if (secure) return Verdict::kRefused;
  if (text.size() >= kPathBytesMax) return Verdict::kTooLong;
  memcpy(path, text.data(), text.size());
  path[text.size()] = '\0';
  return Verdict::kGood;
}

Verdict parse_value(const OptionInfo& info, std::string_view text, bool secure, Loaded& loaded) {
  switch (info.kind) {
    case OptionKind::kChoice:
      return parse_choice(info, text, loaded.number);
    case OptionKind::kSize:
      return parse_bytes(info, text, loaded.number);
    case OptionKind::kLimit:
      return parse_limit(info, text, loaded.number);
    case OptionKind::kPercents:
      return parse_levels(text, loaded.number);
    case OptionKind::kPath:
      return parse_path(text, secure, g_paths[loaded.number]);
    case OptionKind::kTarget:
      if (!is_target(text)) return Verdict::kMalformed;
      return parse_path(text, secure, g_paths[loaded.number]);
  }
  return Verdict::kMalformed;
}

TextWriter& write_value(TextWriter& out, const OptionInfo& info, uint64_t number) {
  switch (info.kind) {
    case OptionKind::kChoice:
      return out.text(info.words[number].word);
    case OptionKind::kSize:
      return write_size(out, number);
    case OptionKind::kLimit: {
      const size_t word = word_of_limit(number);
      return word == kChoiceWordsMax ? write_size(out, number) : out.text(info.words[word].word);
    }
    case OptionKind::kPercents:
      for (size_t i = 0; i < kLevelCount; ++i) {
        out.text(i == 0 ? "" : ",").decimal(unpack_levels(number).percents[i]);
      }
      return out;
    case OptionKind::kPath:
    case OptionKind::kTarget:
      return out.text(g_paths[number]);
  }
  return out;
}

void send(TextWriter& line, Diagnose diagnose) {
  line.text("\n");
  if (diagnose != nullptr) diagnose(line.data(), line.size());
}

void report_unknown(std::string_view name, Diagnose diagnose) {
  char buffer[kLineBytesMax];
  TextWriter line(buffer, sizeof buffer);
  line.text("elasticpool: ").bytes(kOptionPrefix.data(), kOptionPrefix.size());
  write_printable(line, name, kEchoBytesMax);
  line.text(": unknown option, did you mean ").bytes(kOptionPrefix.data(), kOptionPrefix.size());
  line.text(nearest_option(name).name).text("?");
  send(line, diagnose);
}

void report_bad(const OptionInfo& info, std::string_view value, Verdict verdict,
                Diagnose diagnose) {
  char range[kRangeBytesMax];
  describe_range(info, range, sizeof range);
  char buffer[kLineBytesMax];
  TextWriter line(buffer, sizeof buffer);
  line.text("elasticpool: ").bytes(kOptionPrefix.data(), kOptionPrefix.size()).text(info.name);
  line.text("=");
  write_printable(line, value, kEchoBytesMax).text(": ");
  if (is_text(info.kind) && verdict != Verdict::kMalformed) {
    if (verdict == Verdict::kRefused) {
      line.text("not used in a program that runs with more rights than its caller");
    } else {
      line.text("longer than ").decimal(kPathBytesMax - 1).text(" bytes; not used");
    }
    return send(line, diagnose);
  }
  if (is_text(info.kind)) {
    line.text("not one of ").text(range).text("; not used");
    return send(line, diagnose);
  }
  if (info.kind == OptionKind::kChoice) {
    line.text("not one of ").text(range);
  } else if (info.kind == OptionKind::kPercents) {
    line.text("not ").text(range);
  } else {
    line.text(verdict == Verdict::kMalformed ? "not a size (" : "out of range (");
    line.text(range).text(")");
  }
  line.text("; using ");
  write_value(line, info, info.fallback);
  send(line, diagnose);
}

void load_one(const Variable& variable, bool secure, Diagnose diagnose) {
  const size_t index = find_option(variable.name);
  if (index == kOptionCount) return report_unknown(variable.name, diagnose);
  Loaded& loaded = g_state.loaded[index];
  // Of two good ones the first counts, as with getenv().
  if (loaded.is_set || variable.value.empty()) return;
  const OptionInfo& info = kOptionTable[index];
  const Verdict verdict = parse_value(info, variable.value, secure, loaded);
  loaded.is_set = verdict == Verdict::kGood;
  if (!loaded.is_set) report_bad(info, variable.value, verdict, diagnose);
}

void fill(Options& filled) {
  const Loaded* loaded = g_state.loaded;
#define EP_CHOICE(NAME, member, Type, fallback, words, sentence) \
  filled.member = static_cast<Type>((loaded++)->number);
#define EP_SIZE(NAME, member, fallback_bytes, min_bytes, max_bytes, sentence) \
  filled.member = (loaded++)->number;
#define EP_LIMIT(NAME, member, words, sentence) filled.member = (loaded++)->number;
#define EP_LEVELS(NAME, member, first, second, third, fourth, sentence) \
  filled.member = unpack_levels((loaded++)->number);
#define EP_PATH(NAME, member, sentence) filled.member = g_paths[(loaded++)->number];
#define EP_TARGET(NAME, member, sentence) filled.member = g_paths[(loaded++)->number];
#include "tune/options.def"
}

}  // namespace

void load_options(const char* const* environment, bool secure, Diagnose diagnose) {
  g_state = defaults();
  for (char(&path)[kPathBytesMax] : g_paths) path[0] = '\0';
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    Variable variable;
    if (split(*environment, variable)) load_one(variable, secure, diagnose);
  }
  fill(g_options);
}

void for_each_option(OptionVisitor visit, void* context) {
  for (size_t i = 0; i < kOptionCount; ++i) {
    const OptionInfo& info = kOptionTable[i];
    char value[kPathBytesMax];
    TextWriter value_out(value, sizeof value - 1);
    write_value(value_out, info, g_state.loaded[i].number);
    value[value_out.size()] = '\0';
    char fallback[kRangeBytesMax];
    TextWriter fallback_out(fallback, sizeof fallback - 1);
    if (!is_text(info.kind)) write_value(fallback_out, info, info.fallback);
    fallback[fallback_out.size()] = '\0';
    visit(context, {info, value, fallback, g_state.loaded[i].is_set});
  }
}

}  // namespace elasticpool
