// The processes of one measurement, each pinned to a processor.
//
//   Team team(cpus);
//   team.add(0, [&] { ... });   // forks at once; what it throws is the team's failure
//   team.add(1, [&] { ... });
//   team.finish(seconds);       // waits; throws Failure, Unable or Interrupted
//
// Clean up    a process dies with the benchmark, however that ends, and when the team is destroyed.
//             Nothing that is measured keeps a name in the file system.
// Signals     the benchmark blocks those that end it and takes them where it waits.
#pragma once

#include <sys/mman.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <new>
#include <string>
#include <vector>

#include "message.h"

struct Interrupted {};

// Memory that processes forked later share; zero at first.
template <typename T>
class SharedMemory {
 public:
  explicit SharedMemory(size_t count = 1) : count_(count) {
    void* at =
        mmap(nullptr, sizeof(T) * count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw Failure("no memory to share");
    data_ = new (at) T[count]();
  }
  ~SharedMemory() { munmap(data_, sizeof(T) * count_); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  T* operator->() const { return data_; }
  T& operator*() const { return *data_; }
  T& operator[](size_t i) const { return data_[i]; }
  size_t count() const { return count_; }

 private:
  T* data_;
  size_t count_;
};

class Team {
 public:
  explicit Team(const std::vector<int>& cpus) : cpus_(cpus) {}
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  // A process on processor `cpu` of the list, modulo its length.
  pid_t add(unsigned cpu, const std::function<void()>& work);
  // Ends one that is not to end by itself.
  void kill_member(pid_t pid);
  // Waits for all.
  void finish(double seconds_max);

 private:
  struct Verdict {
    std::atomic<int> kind;
    char text[240];
  };
  [[noreturn]] void run_member(unsigned cpu, const std::function<void()>& work);
  void reap(pid_t pid, int status);
  void kill_all();

  const std::vector<int>& cpus_;
  std::vector<pid_t> running_;
  SharedMemory<Verdict> verdict_;
};

// Everybody waits until `count` have come.
void meet(std::atomic<unsigned>& arrived, unsigned count);

// Blocks the signals that end the benchmark; Team and throw_if_interrupted() see them.
void block_signals();
void throw_if_interrupted();
