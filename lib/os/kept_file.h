// A descriptor that stays open beside the program's own, and is known again before each use.
//
// Number     high (kLeastDescriptor and above), close-on-exec: the program's own numbers do not
//            change. Where the limit of open files leaves no such number nothing is kept.
// Ours       a program may close all descriptors and open its own under the same number. Each use
//            asks first whether device and inode are those that were opened; what is not ours is
//            forgotten, never read and never closed. (The same file, opened by the program under
//            our number, counts as ours.) Between the question and the use another thread may put
//            its file there: it is read then, at its start, without moving its offset.
// Opening    takes the least free number for two system calls: nobody else of this process should
//            open files meanwhile and count on the numbers that he gets.
// Threads    one at a time: the owner's lock. A record without destructor, of zeros but for fd.
// Errors     -errno, as the kernel says. What only a sandbox says of fstat is told apart
//            (is_forbidden()): the next call might kill.
// Cost       read(): fstat and pread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace elasticpool {

struct FileIdentity {
  bool known = false;
  uint64_t device = 0;
  uint64_t inode = 0;

  constexpr bool operator==(const FileIdentity&) const = default;
};

// Which file it is. *error: 0, or -errno where that is not known.
FileIdentity identify_file(int fd, long* error);

// fstat and openat never say so of a file that was open before, unless a filter does.
bool is_forbidden(long error);

class KeptFile {
 public:
  static constexpr int kLeastDescriptor = 900;

  // 0, or -errno. `flags`: of open(); O_CLOEXEC and O_NOCTTY are added. Closes what was kept.
  long open(const char* path, int flags);
  // `fd` moves to a high number and is ours from now on; in any case it is closed under its own.
  long adopt(int fd);
  void close();

  bool is_open() const { return fd_ >= 0; }
  // The descriptor while it is ours; -errno otherwise, and then nothing is kept any more.
  long verified();
  // Up to `capacity` - 1 bytes of its start, with a NUL behind. The count, or -errno.
  long read(char* text, size_t capacity);

 private:
  int fd_ = -1;
  FileIdentity identity_ = {};
};

}  // namespace elasticpool
