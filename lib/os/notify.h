// Ways to tell somebody outside of this process: a file or FIFO, the system's log, a command.
//
// Threads    any; no lock of ours held.
// Rules      nothing of it blocks for a reader, raises a signal, allocates, touches errno, or shows
//            in the program's own wait() and SIGCHLD. Descriptors are open for the moment only and
//            closed at exec.
// Errors     false: it was not told; nothing is left behind.
// Cost       some system calls; run_command() holds the caller up until the command is started.
#pragma once

#include <cstddef>

namespace elasticpool {

// Behind what is in the file, which is made where there is none. A FIFO that nobody reads, or that
// is full: false.
bool append_to_file(const char* path, const char* bytes, size_t count);

// One message for syslog(3)'s daemon: user, warning. Without the newline.
bool send_to_system_log(const char* bytes, size_t count);

// sh -c COMMAND elasticpool ARGUMENT, in a process that is nobody's child as far as the program can
// see (unless that is process 1 or a subreaper, to which all orphans come), with its environment
// but for the variable `without` ("NAME="): or what the command starts would do the same again.
// `environment` as in environ(7).
struct Command {
  const char* text;
  const char* argument;
  char* const* environment;
  const char* without;
};
bool run_command(const Command& command);

}  // namespace elasticpool
