// elasticpool run: a program under the library.
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "commands.h"
#include "tune/options.h"

namespace elasticpool {
namespace {

// MEMPOOL_NAME=VALUE
std::string variable_of(const std::string& setting) {
  if (setting.find('=') == std::string::npos) {
    throw CommandError(setting + ": an option is NAME=VALUE");
  }
  const bool is_whole = setting.compare(0, kOptionPrefix.size(), kOptionPrefix) == 0;
  return is_whole ? setting : std::string(kOptionPrefix) + setting;
}

// The library would only complain of a bad one and go on; whoever types one wants to hear of it.
bool is_good(const std::string& variable) {
  static bool complained;
  complained = false;
  const char* const environment[] = {variable.c_str(), nullptr};
  load_options(environment, false, [](const char* line, size_t line_bytes) {
    std::cerr.write(line, static_cast<std::streamsize>(line_bytes));
    complained = true;
  });
  return !complained;
}

void set_variable(const std::string& name, const std::string& value) {
  if (setenv(name.c_str(), value.c_str(), 1) != 0) throw CommandError(strerror(errno));
}

void set_variable(const std::string& variable) {
  const size_t equals = variable.find('=');
  set_variable(variable.substr(0, equals), variable.substr(equals + 1));
}

std::vector<std::string> variables_of(const RunRequest& request) {
  std::vector<std::string> variables;
  if (request.stats) variables.emplace_back("MEMPOOL_STATS=on");
  if (!request.json_file.empty()) {
    // The command may go to another directory before it ends.
    const std::string file = std::filesystem::absolute(request.json_file);
    variables.emplace_back("MEMPOOL_STATS=json");
    variables.push_back("MEMPOOL_STATS_FILE=" + file);
  }
  return variables;
}

void preload(const std::string& library) {
  const char* others = getenv("LD_PRELOAD");
  const bool alone = others == nullptr || *others == '\0';
  set_variable("LD_PRELOAD", alone ? library : library + ":" + others);
}

}  // namespace

int run_command(const RunRequest& request) {
  if (request.command.empty()) throw CommandError("run: which command?");
  const std::string library = find_library(request.library);
  std::vector<std::string> variables = variables_of(request);
  // Behind the others: they have the last word.
  for (const std::string& setting : request.settings) variables.push_back(variable_of(setting));
  bool all_good = true;
  for (const std::string& variable : variables) all_good = is_good(variable) && all_good;
  if (!all_good) return kExitBadUse;
  for (const std::string& variable : variables) set_variable(variable);
  preload(library);

  std::vector<char*> arguments;
  arguments.reserve(request.command.size() + 1);
  for (const std::string& argument : request.command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  const int error = errno;
  std::cerr << "elasticpool: " << arguments[0] << ": " << strerror(error) << '\n';
  return error == ENOENT ? 127 : 126;
}

}  // namespace elasticpool
