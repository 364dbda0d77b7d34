// Where our own words go: standard error as it was at start, or a file of our own.
//
// Threads    any; a write is one system call, and four to keep SIGPIPE away from the program.
// Invariant  nothing is ever written to a file that is not ours: descriptor 2 counts only while it
//            is the file (device and inode) that it was at boot. A program may close it and open
//            its data there.
// Errors     what cannot be written is lost, silently: there is nobody to tell.
#pragma once

#include <cstddef>

namespace elasticpool {

// Remembers which file standard error is.
void output_boot();

void write_stderr(const char* bytes, size_t count);

// A file of our own, created or truncated. -1 and nothing written when it cannot be opened.
class OutputFile {
 public:
  explicit OutputFile(const char* path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  bool is_open() const { return fd_ >= 0; }
  bool write(const char* bytes, size_t count) const;

 private:
  int fd_;
};

}  // namespace elasticpool
