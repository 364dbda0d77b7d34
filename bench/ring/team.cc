// Processes: started, waited for, ended.
#include "team.h"

#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>

namespace {

enum Kind { kNone = 0, kFailed = 1, kUnable = 2 };

sigset_t ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGHUP, SIGINT, SIGTERM}) sigaddset(&set, signal);
  return set;
}

void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) {
    throw Failure("cannot run on processor " + std::to_string(cpu));
  }
}

}  // namespace

double ns_per_tick() {
  static const double ratio = [] {
    const uint64_t ns = monotonic_ns();
    const uint64_t start = arrival_ticks();
    while (monotonic_ns() - ns < 50'000'000) pause_cpu();
    const uint64_t ns_end = monotonic_ns();
    return static_cast<double>(ns_end - ns) / static_cast<double>(arrival_ticks() - start);
  }();
  return ratio;
}

void meet(std::atomic<unsigned>& arrived, unsigned count) {
  ++arrived;
  while (arrived.load() < count) sched_yield();
}

void block_signals() {
  sigset_t set = ending_signals();
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, nullptr);
}

void throw_if_interrupted() {
  const sigset_t set = ending_signals();
  const timespec moment{};
  if (sigtimedwait(&set, nullptr, &moment) > 0) throw Interrupted{};
}

Team::~Team() { kill_all(); }

void Team::run_member(unsigned cpu, const std::function<void()>& work) {
  int kind = kNone;
  const char* text = "";
  std::string kept;
  try {
    pin(cpus_[cpu % cpus_.size()]);
    work();
  } catch (const Unable& unable) {
    kind = kUnable;
    kept = unable.what();
  } catch (const std::exception& failure) {
    kind = kFailed;
    kept = failure.what();
  }
  text = kept.c_str();
  int none = kNone;
  // The first to fail is heard: others fail of that.
  if (kind != kNone && verdict_->kind.compare_exchange_strong(none, kind)) {
    snprintf(verdict_->text, sizeof verdict_->text, "%s", text);
  }
  _exit(kind);
}

pid_t Team::add(unsigned cpu, const std::function<void()>& work) {
  throw_if_interrupted();
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) throw Failure("cannot start a process");
  if (pid == 0) {
    // In this order: who dies before the first line is missed by it, and seen by the second.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(kFailed);
    run_member(cpu, work);
  }
  running_.push_back(pid);
  return pid;
}

void Team::kill_member(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  std::erase(running_, pid);
}

void Team::kill_all() {
  for (const pid_t pid : running_) kill(pid, SIGKILL);
  for (const pid_t pid : running_) waitpid(pid, nullptr, 0);
  running_.clear();
}

void Team::reap(pid_t pid, int status) {
  std::erase(running_, pid);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNone) return;
  kill_all();
  throw_if_interrupted();
  if (verdict_->kind == kUnable) throw Unable(verdict_->text);
  if (verdict_->kind == kFailed) throw Failure(verdict_->text);
  throw Failure("a process ended with status " + std::to_string(status));
}

void Team::finish(double seconds_max) {
  sigset_t set = ending_signals();
  sigaddset(&set, SIGCHLD);
  const uint64_t end = monotonic_ns() + static_cast<uint64_t>(seconds_max * 1e9);
  while (!running_.empty()) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid > 0) {
      reap(pid, status);
      continue;
    }
    const timespec step{0, 500'000'000};
    const int signal = sigtimedwait(&set, nullptr, &step);
    if (signal > 0 && signal != SIGCHLD) throw Interrupted{};
    if (monotonic_ns() > end) throw Failure("did not end in time");
  }
}
