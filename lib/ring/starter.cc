// posix_spawn and waitpid.
#include "ring/starter.h"

#include <spawn.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>

namespace elasticpool {
namespace {

static_assert(std::is_same_v<pid_t, int>, "the header says int, since it includes nothing");

constexpr const char* kOurVariables[] = {
    "EP_RING_NAME=", "EP_RING_GROUP=", "EP_RING_CONSUMER=", "EP_RING_FD="};
constexpr size_t kOurVariableCount = sizeof(kOurVariables) / sizeof(kOurVariables[0]);

// Our own environment, and what tells a child where to join.
class ChildEnvironment {
 public:
  ChildEnvironment(const Region& region, const char* group, const char* consumer) {
    size_t count = 0;
    while (environ[count] != nullptr) ++count;
    variables_ = static_cast<char**>(calloc(count + kOurVariableCount + 1, sizeof(char*)));
    if (variables_ == nullptr) return;
    size_t kept = 0;
    for (size_t i = 0; i < count; ++i) {
      if (!is_ours(environ[i])) variables_[kept++] = environ[i];
    }
    char fd[16];
    snprintf(fd, sizeof(fd), "%d", region.fd());
    const char* values[kOurVariableCount] = {region.name(), group, consumer, fd};
    for (size_t i = 0; i < kOurVariableCount; ++i) {
      if (values[i] == nullptr) continue;
      made_[i] = joined(kOurVariables[i], values[i]);
      is_whole_ = is_whole_ && made_[i] != nullptr;
      variables_[kept++] = made_[i];
    }
  }
  ~ChildEnvironment() {
    for (char* text : made_) free(text);
    free(variables_);
  }
  ChildEnvironment(const ChildEnvironment&) = delete;
  ChildEnvironment& operator=(const ChildEnvironment&) = delete;

  bool is_whole() const { return variables_ != nullptr && is_whole_; }
  char** variables() { return variables_; }

 private:
  static bool is_ours(const char* variable) {
    for (const char* name : kOurVariables) {
      if (strncmp(variable, name, strlen(name)) == 0) return true;
    }
    return false;
  }
  static char* joined(const char* name, const char* value) {
    const size_t bytes = strlen(name) + strlen(value) + 1;
    auto* text = static_cast<char*>(malloc(bytes));
    if (text != nullptr) snprintf(text, bytes, "%s%s", name, value);
    return text;
  }

  char** variables_ = nullptr;
  char* made_[kOurVariableCount] = {};
  bool is_whole_ = true;
};

ep_ring_error spawn(const Region& region, const ep_ring_starter& starter, const char* group,
                    const char* consumer, pid_t* process) {
  ChildEnvironment environment(region, group, consumer);
  if (!environment.is_whole()) return EP_RING_NO_MEMORY;
  posix_spawn_file_actions_t actions;
  int error = posix_spawn_file_actions_init(&actions);
  if (error == 0) {
    // Onto itself: the child has it, whatever the exec closes.
    error = posix_spawn_file_actions_adddup2(&actions, region.fd(), region.fd());
    if (error == 0) {
      error = posix_spawnp(process, starter.argv[0], &actions, nullptr,
                           const_cast<char* const*>(starter.argv), environment.variables());
    }
    posix_spawn_file_actions_destroy(&actions);
  }
  if (error == 0) return EP_RING_OK;
  errno = error;
  return EP_RING_SYSTEM;
}

}  // namespace

ep_ring_error start_consumer(const Region& region, const ep_ring_starter& starter,
                             const char* group, const char* consumer, ConsumerProcess* process) {
  pid_t number = -1;
  if (starter.start != nullptr) {
    errno = 0;
    number = starter.start(starter.context, consumer);
    if (number <= 0) {
      if (errno == 0) errno = ECANCELED;  // it failed and does not say why
      return EP_RING_SYSTEM;
    }
  } else {
    const ep_ring_error error = spawn(region, starter, group, consumer, &number);
    if (error != EP_RING_OK) return error;
  }
  process->identity = identity_of(static_cast<uint32_t>(number));
  return EP_RING_OK;
}

bool has_exited(const ConsumerProcess& process, int* status) {
  *status = -1;
  for (;;) {
    const pid_t waited = waitpid(process.number(), status, WNOHANG);
    if (waited == process.number()) return true;
    if (waited == 0) return false;
    if (errno == EINTR) continue;
    *status = -1;
    return is_gone(process.identity);
  }
}

void send_signal(const ConsumerProcess& process, int signal) {
  if (!is_gone(process.identity)) kill(process.number(), signal);
}

}  // namespace elasticpool
