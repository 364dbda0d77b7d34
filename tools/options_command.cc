// elasticpool options: the table, and what the environment makes of it.
#include <unistd.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "tune/option_text.h"
#include "tune/options.h"

namespace elasticpool {
namespace {

std::string range_of(const OptionInfo& info) {
  char text[128];
  return {text, describe_range(info, text, sizeof text)};
}

// Indented by four columns, broken at spaces before column 80.
void write_paragraph(TextWriter& out, const std::string& text) {
  constexpr size_t kColumns = 76;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = text.size();
    if (end - begin > kColumns) {
      const size_t space = text.rfind(' ', begin + kColumns);
      end = space == std::string::npos || space <= begin ? begin + kColumns : space;
    }
    out.text("    ").bytes(&text[begin], end - begin).text("\n");
    begin = end < text.size() && text[end] == ' ' ? end + 1 : end;
  }
}

void write_option(void* context, const OptionState& state) {
  TextWriter& out = *static_cast<TextWriter*>(context);
  const bool has_default = *state.fallback != '\0';
  out.text("MEMPOOL_").text(state.info.name).pad_to(26).text(range_of(state.info).c_str());
  out.text(has_default ? "; default " : "; not set by default").text(state.fallback);
  if (state.is_set) out.text("; here ").text(state.value);
  out.text("\n");
  write_paragraph(out, state.info.sentence);
}

using Json = nlohmann::ordered_json;

void add_option(void* context, const OptionState& state) {
  static constexpr const char* kKinds[] = {"choice", "size", "limit", "levels", "path", "target"};
  Json option = {{"name", std::string(kOptionPrefix) + state.info.name},
                 {"kind", kKinds[static_cast<size_t>(state.info.kind)]},
                 {"default", state.fallback},
                 {"value", state.value},
                 {"set", state.is_set}};
  if (state.info.words[0].word != nullptr) {
    Json& words = option["choices"] = Json::array();
    for (const ChoiceWord* word = state.info.words; word->word != nullptr; ++word) {
      words.push_back(word->word);
    }
  }
  if (state.info.kind == OptionKind::kSize || state.info.kind == OptionKind::kLimit) {
    option["min_bytes"] = state.info.min;
    option["max_bytes"] = state.info.max;
  }
  option["description"] = state.info.sentence;
  static_cast<Json*>(context)->push_back(std::move(option));
}

}  // namespace

int options_command(bool as_json) {
  load_options(environ, false, [](const char* line, size_t line_bytes) {
    std::cerr.write(line, static_cast<std::streamsize>(line_bytes));
  });
  if (as_json) {
    Json table = Json::array();
    for_each_option(add_option, &table);
    std::cout << table.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
    return 0;
  }
  char buffer[1024];
  TextWriter out(buffer, sizeof buffer, to_stdout);
  for_each_option(write_option, &out);
  out.flush();
  return 0;
}

}  // namespace elasticpool
