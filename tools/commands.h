// The subcommands of elasticpool(1). Each does its work and returns the program's exit code; what
// the user did wrong, or what cannot be read, is a CommandError: one line, exit code 2.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "base/text_writer.h"

namespace elasticpool {

inline constexpr int kExitBadUse = 2;

class CommandError : public std::runtime_error {
 public:
  using runtime_error::runtime_error;
};

// A sink for TextWriter.
void to_stdout(void* context, const char* bytes, size_t count);

struct RunRequest {
  bool stats = false;
  std::string json_file;              // empty: none
  std::vector<std::string> settings;  // NAME=VALUE, with or without the prefix of the variables
  std::string library;                // empty: the one that belongs to this program
  std::vector<std::string> command;
};

// Becomes the command. Returns only where that fails: 127 when there is no such program, else 126,
// as a shell does.
int run_command(const RunRequest& request);
int options_command(bool as_json);
// `file`: a report of MEMPOOL_STATS=json; "-" is standard input.
int stats_command(const std::string& file);
int version_command();

// The library's file: `wanted` if it is not empty, else the one that was installed, or built, with
// this program.
std::string find_library(const std::string& wanted);

}  // namespace elasticpool
