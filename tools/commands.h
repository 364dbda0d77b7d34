// The subcommands of elasticpool(1). Each does its work and returns the program's exit code; what
// the user did wrong, or what cannot be read, is a CommandError: one line, exit code 2.
#pragma once

#include <cstdint>
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

struct RingRequest {
  static constexpr uint64_t kFromLast = UINT64_MAX;

  std::string name;  // without a slash: of /dev/shm; else a path
  bool as_json = false;
  double interval_s = 0;      // stat: between its two looks; 0: one look, no rates
  uint64_t count = 0;         // tail: messages; 0: no end
  uint64_t from = kFromLast;  // tail: a sequence, or the last few that are held
  bool no_follow = false;     // tail: what is there now
  bool stale = false;         // rm: all that nobody uses
  bool force = false;         // rm: one that is used, too
};
int ring_ls_command(const RingRequest& request);
int ring_stat_command(const RingRequest& request);
int ring_tail_command(const RingRequest& request);
// 1 where there are faults.
int ring_check_command(const RingRequest& request);
int ring_rm_command(const RingRequest& request);

// The library's file: `wanted` if it is not empty, else the one that was installed, or built, with
// this program.
std::string find_library(const std::string& wanted);

}  // namespace elasticpool
