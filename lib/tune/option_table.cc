// See option_table.h.
#include "tune/option_table.h"

#include <cstdint>

#include "base/text_writer.h"
#include "tune/option_text.h"

namespace elasticpool {
namespace {

constexpr bool is_sound(const OptionInfo& info) {
  const size_t name_bytes = std::string_view(info.name).size();
  if (name_bytes == 0 || name_bytes > kEditBytesMax) return false;
  for (const char* c = info.name; *c != '\0'; ++c) {
    if (*c != '_' && (*c < 'A' || *c > 'Z')) return false;
  }
  return info.kind != OptionKind::kSize || (info.min <= info.fallback && info.fallback <= info.max);
}

constexpr bool is_sound() {
  for (size_t i = 0; i < kOptionCount; ++i) {
    if (!is_sound(kOptionTable[i])) return false;
    for (size_t j = 0; j < i; ++j) {
      if (std::string_view(kOptionTable[i].name) == kOptionTable[j].name) return false;
    }
  }
  return true;
}
static_assert(is_sound(), "a name or a range in options.def");

}  // namespace

size_t find_option(std::string_view name) {
  for (size_t i = 0; i < kOptionCount; ++i) {
    if (name == kOptionTable[i].name) return i;
  }
  return kOptionCount;
}

const OptionInfo& nearest_option(std::string_view name) {
  const OptionInfo* nearest = &kOptionTable[0];
  size_t fewest_edits = SIZE_MAX;
  for (const OptionInfo& info : kOptionTable) {
    const size_t edits = edit_distance(name, info.name);
    if (edits < fewest_edits) {
      fewest_edits = edits;
      nearest = &info;
    }
  }
  return *nearest;
}

size_t describe_range(const OptionInfo& info, char* text, size_t capacity) {
  TextWriter out(text, capacity - 1);
  switch (info.kind) {
    case OptionKind::kChoice:
      for (const ChoiceWord* word = info.words; word->word != nullptr; ++word) {
        out.text(word == info.words ? "" : ", ").text(word->word);
      }
      break;
    case OptionKind::kSize:
      write_size(out, info.min).text(" to ");
      write_size(out, info.max);
      break;
    case OptionKind::kLimit:
      for (const ChoiceWord* word = info.words; word->word != nullptr; ++word) {
        out.text(word->word).text(", ");
      }
      write_size(out, info.min).text(" to ");
      write_size(out, info.max);
      break;
    case OptionKind::kPercents:
      out.text("four rising numbers of per cent");
      break;
    case OptionKind::kPath:
      out.text("a file name");
      break;
    case OptionKind::kTarget:
      out.text("stderr, syslog, /FILE, exec:CMD");
      break;
  }
  text[out.size()] = '\0';
  return out.size();
}

}  // namespace elasticpool
