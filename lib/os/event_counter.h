// An eventfd of ours: wakes a thread that polls, and is what the kernel counts thresholds with.
//
// Ours       all eventfds are one file to fstat. This one is marked as no program does it, by
//            O_APPEND: a number that the program has taken for its own is left alone.
// Threads    signal(): any, at any time; of a close() before it knows by asking the kernel, of
//            one between the question and the write it does not. The others: the owner's.
// Errors     what cannot be done is not done: the owner wakes by his timeout.
// Cost       signal(): three system calls.
#pragma once

#include <atomic>

#include "os/kept_file.h"

namespace elasticpool {

class EventCounter {
 public:
  // At a high number, as KeptFile. False where the system refuses.
  bool open();
  void close();

  bool is_open() const { return fd_.load(std::memory_order_relaxed) >= 0; }
  // The descriptor while it is ours; -errno otherwise, and then nothing is kept any more.
  long verified();
  // Poll says POLLIN from now on, until drain(). False where it is open no more: the program has
  // closed it.
  bool signal() const;
  void drain();

 private:
  long verify(int fd) const;

  std::atomic<int> fd_{-1};
  FileIdentity identity_ = {};
};

}  // namespace elasticpool
