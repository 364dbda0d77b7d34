// Runs a program in a memory control group of its own, and says how that went.
//
//   in_group [OPTION...] [NAME=VALUE...] PROGRAM [ARGUMENT...]
//
//   --limit SIZE            the group's; SIZE is a number, maybe with K, M or G: 1.4G
//   --peak-at-most SIZE     more is a failure; may be a share of the limit: 92%
//   --set SIZE@SECONDS      another limit, so long after the start; also 0, and max for none.
//                           A limit that the kernel refuses is counted and no failure
//   --move-at SECONDS       the processes go to another group of the same limit, and the one that
//                           they were in is removed under them
//   --nested                the limit is that of the group above the program's own
//   --may-be-killed         that the kernel kills it for want of memory is no failure
//   --repeat N              so many runs, each in a group of its own; EP_TEST_RUN is their number
//   --timeout SECONDS       a program that runs longer hangs, and is killed; 300 unless it is given
//   --hierarchy 1|2         which version of control groups; otherwise 1 where it can be had
//
// NAME=VALUE is added to the program's environment, so that LD_PRELOAD is not charged for in this
// program, nor this program to the group: it is in it from its exec on. One line a run says how it
// ended and what the group needed at most (with the kernel's own and the file cache), and one for
// all of them where there are several.
//
// Exit status  0: every run ended with 0 and within the bounds. 1: not so. 2: bad usage. 77, with
//              the reason: no group can be made here, or the program itself says 77.
// Processes    this one waits for a keeper, which makes the groups and waits for the program. When
//              one of the two is killed the other one removes what there is; the program dies with
//              the keeper.
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "group.h"

enum { kEventsMax = 16, kSkipped = 77, kBadUsage = 2, kInterrupted = 130 };
enum { kPageBytes = 4096, kDefaultTimeoutMs = 300000 };

typedef struct {
  uint64_t at_ms;
  bool moves;  // otherwise it sets:
  uint64_t limit_bytes;
} Event;

typedef struct {
  uint64_t limit_bytes;
  uint64_t peak_bytes_max;
  Event events[kEventsMax];  // in the order of their times
  int events_count;
  bool nested;
  bool may_be_killed;
  long repeat;
  uint64_t timeout_ms;
  int version;
  char** words;  // NAME=VALUE..., the program, its arguments
} Options;

typedef struct {
  char name[64];
  Options options;
  GroupPlace place;
  sigset_t signals;
} Session;

typedef struct {
  Group groups[3];  // the one with the limit, the one below it if nested, the one moved to
  int groups_count;
  int limited;  // which of them has the limit
  pid_t child;
  int status;  // as waitpid() gives it
  bool hung;
  unsigned refused;
  uint64_t peak_bytes;
  uint64_t kills;
  uint64_t took_ms;
} Run;

static uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void say(const char* text, const char* reason) {
  fprintf(stderr, "in_group: %s%s\n", text, reason);
}

// --- Options ---

static void refuse(const char* what, const char* value) {
  fprintf(stderr, "in_group: %s: not '%s'; the comment that opens in_group.c tells more\n", what,
          value == NULL ? "nothing" : value);
  exit(kBadUsage);
}

// In whole pages, as the kernel counts.
static uint64_t parse_size(const char* what, const char* text, uint64_t whole) {
  char* end = NULL;
  if (strcmp(text, "max") == 0) return GROUP_NO_LIMIT;
  const double number = strtod(text, &end);
  double unit = 1;
  if (*end == '%' && whole != 0 && whole != GROUP_NO_LIMIT) unit = (double)whole / 100;
  if (*end == 'K') unit = 1024;
  if (*end == 'M') unit = 1024 * 1024;
  if (*end == 'G') unit = 1024 * 1024 * 1024;
  const bool has_unit = *end != '\0' && unit != 1;
  if (end == text || number < 0 || end[has_unit ? 1 : 0] != '\0') refuse(what, text);
  const uint64_t bytes = (uint64_t)(number * unit);
  return bytes - bytes % kPageBytes;
}

static uint64_t parse_ms(const char* what, const char* text) {
  char* end = NULL;
  const double seconds = text == NULL ? -1 : strtod(text, &end);
  if (seconds < 0 || end == text || *end != '\0') refuse(what, text);
  return (uint64_t)(seconds * 1000);
}

static void add_event(Options* options, Event event) {
  if (options->events_count == kEventsMax) refuse("at most 16 of --set and --move-at", NULL);
  int at = options->events_count++;
  for (; at > 0 && options->events[at - 1].at_ms > event.at_ms; --at) {
    options->events[at] = options->events[at - 1];
  }
  options->events[at] = event;
}

static void add_limit_event(Options* options, char* text) {
  char* at = strchr(text, '@');
  if (at == NULL) refuse("--set SIZE@SECONDS", text);
  *at = '\0';
  const uint64_t limit_bytes = parse_size("--set", text, 0);
  add_event(options, (Event){parse_ms("--set", at + 1), false, limit_bytes});
}

static bool take_flag(Options* options, const char* word) {
  if (strcmp(word, "--nested") == 0) return options->nested = true;
  if (strcmp(word, "--may-be-killed") == 0) return options->may_be_killed = true;
  return false;
}

static void take_option(Options* options, const char* word, char* value) {
  if (value == NULL) refuse(word, NULL);
  if (strcmp(word, "--limit") == 0) {
    options->limit_bytes = parse_size(word, value, 0);
  } else if (strcmp(word, "--peak-at-most") == 0) {
    options->peak_bytes_max = parse_size(word, value, options->limit_bytes);
  } else if (strcmp(word, "--set") == 0) {
    add_limit_event(options, value);
  } else if (strcmp(word, "--move-at") == 0) {
    add_event(options, (Event){parse_ms(word, value), true, 0});
  } else if (strcmp(word, "--repeat") == 0) {
    options->repeat = strtol(value, NULL, 10);
    if (options->repeat < 1) refuse(word, value);
  } else if (strcmp(word, "--timeout") == 0) {
    options->timeout_ms = parse_ms(word, value);
  } else if (strcmp(word, "--hierarchy") == 0) {
    options->version = (int)strtol(value, NULL, 10);
    if (options->version != 1 && options->version != 2) refuse(word, value);
  } else {
    refuse("an option", word);
  }
}

static Options parse(char** words) {
  Options options = {.limit_bytes = GROUP_NO_LIMIT,
                     .peak_bytes_max = UINT64_MAX,
                     .repeat = 1,
                     .timeout_ms = kDefaultTimeoutMs};
  for (; *words != NULL && strncmp(*words, "--", 2) == 0; ++words) {
    if (strcmp(*words, "--") == 0) {
      ++words;
      break;
    }
    if (take_flag(&options, *words)) continue;
    take_option(&options, words[0], words[1]);
    ++words;
  }
  if (*words == NULL) refuse("a program", NULL);
  options.words = words;
  return options;
}

// --- One run ---

// Whatever a run may have made, by name: also what another process has made for us.
static bool remove_groups(const Session* session) {
  static const char* const kSuffixes[] = {"/below", "", "-next"};
  bool good = true;
  for (unsigned i = 0; i < sizeof kSuffixes / sizeof *kSuffixes; ++i) {
    Group group = {.version = session->place.version};
    snprintf(group.folder, sizeof group.folder, "%.3900s/%s%s", session->place.parent,
             session->name, kSuffixes[i]);
    good = group_remove(&group) && good;
  }
  return good;
}

static bool make_group(const Session* session, Run* run, const char* suffix) {
  char name[80];
  snprintf(name, sizeof name, "%s%s", session->name, suffix);
  Group* group = &run->groups[run->groups_count];
  if (!group_make(group, session->place.parent, session->place.version, name)) return false;
  ++run->groups_count;
  return true;
}

static bool make_groups(const Session* session, Run* run) {
  const Options* options = &session->options;
  if (!make_group(session, run, "")) return false;
  const Group* top = &run->groups[0];
  if (options->nested) {
    if (!group_allow_children(top) || !make_group(session, run, "/below")) return false;
  }
  return options->limit_bytes == GROUP_NO_LIMIT || group_set_limit(top, options->limit_bytes);
}

static void become_program(const Session* session, const Group* group, long number) {
  char text[32];
  snprintf(text, sizeof text, "%ld", number);
  setenv("EP_TEST_RUN", text, 1);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigprocmask(SIG_UNBLOCK, &session->signals, NULL);
  char** words = session->options.words;
  if (!group_move_here(group, getpid())) {
    say("", group_error());
    _exit(kBadUsage);
  }
  for (; *words != NULL && strchr(*words, '=') != NULL; ++words) putenv(*words);
  if (*words != NULL) execvp(*words, words);
  say("cannot run the program: ", strerror(errno));
  _exit(kBadUsage);
}

static bool move_away(const Session* session, Run* run) {
  if (!make_group(session, run, "-next")) return false;
  const Group* to = &run->groups[run->groups_count - 1];
  const uint64_t limit_bytes = session->options.limit_bytes;
  if (limit_bytes != GROUP_NO_LIMIT && !group_set_limit(to, limit_bytes)) return false;
  const Group* from = to - 1;
  const uint64_t peak_bytes = group_peak_bytes(from);
  if (peak_bytes > run->peak_bytes) run->peak_bytes = peak_bytes;
  run->kills = group_kills(from);
  run->limited = run->groups_count - 1;
  return group_move_all(from, to) && group_remove(from);
}

static bool happen(const Session* session, Run* run, const Event* event) {
  if (event->moves) return move_away(session, run);
  if (!group_set_limit(&run->groups[run->limited], event->limit_bytes)) {
    ++run->refused;
    say("refused: ", group_error());
  }
  return true;
}

// Until the program has ended. False where we are to end ourselves, or a group could not be had.
static bool watch(const Session* session, Run* run) {
  const Options* options = &session->options;
  const uint64_t start_ms = now_ms();
  int next = 0;
  for (;;) {
    const uint64_t passed_ms = now_ms() - start_ms;
    if (waitpid(run->child, &run->status, WNOHANG) == run->child) {
      run->took_ms = passed_ms;
      return true;
    }
    if (passed_ms >= options->timeout_ms && !run->hung) {
      run->hung = true;
      kill(run->child, SIGKILL);
    }
    for (; next < options->events_count && options->events[next].at_ms <= passed_ms; ++next) {
      if (!happen(session, run, &options->events[next])) {
        say("", group_error());
        return false;
      }
    }
    // Long sleeps are cut short by SIGCHLD; those for events must end on time.
    const bool waits = next < options->events_count;
    const struct timespec pause = {waits ? 0 : 1, waits ? 10000000 : 0};
    const int signal_number = sigtimedwait(&session->signals, NULL, &pause);
    if (signal_number > 0 && signal_number != SIGCHLD) return false;
  }
}

static bool is_killed_by_kernel(const Run* run) {
  return run->kills > 0 && WIFSIGNALED(run->status) && WTERMSIG(run->status) == SIGKILL;
}

static bool is_good(const Options* options, const Run* run) {
  const bool ended = WIFEXITED(run->status) && WEXITSTATUS(run->status) == 0;
  const bool may = options->may_be_killed && is_killed_by_kernel(run);
  return (ended || may) && !run->hung && run->peak_bytes <= options->peak_bytes_max;
}

static double mib(uint64_t bytes) { return (double)bytes / (1024 * 1024); }

static void report(const Session* session, const Run* run) {
  const Options* options = &session->options;
  printf("in_group: survived=%d status=%d signal=%d oom_kills=%" PRIu64 " hung=%d refused=%u",
         is_good(options, run), WIFEXITED(run->status) ? WEXITSTATUS(run->status) : -1,
         WIFSIGNALED(run->status) ? WTERMSIG(run->status) : 0, run->kills, run->hung, run->refused);
  printf(" peak_bytes=%" PRIu64 " peak_mib=%.1f", run->peak_bytes, mib(run->peak_bytes));
  if (options->limit_bytes != GROUP_NO_LIMIT) printf(" limit_bytes=%" PRIu64, options->limit_bytes);
  printf(" version=%d took_ms=%" PRIu64 "\n", session->place.version, run->took_ms);
  if (run->peak_bytes > options->peak_bytes_max) {
    printf("in_group: the peak is over its bound of %.1f MiB\n", mib(options->peak_bytes_max));
  }
  fflush(stdout);
}

// False where we are to end.
static bool run_once(const Session* session, Run* run, long number) {
  if (!make_groups(session, run)) {
    say("", group_error());
    return false;
  }
  const Group* group = &run->groups[run->groups_count - 1];
  run->child = fork();
  if (run->child == 0) become_program(session, group, number);
  const bool ended = run->child > 0 && watch(session, run);
  for (int i = 0; i < run->groups_count; ++i) {
    const uint64_t peak_bytes = group_peak_bytes(&run->groups[i]);
    if (peak_bytes > run->peak_bytes) run->peak_bytes = peak_bytes;
    // Version 2 counts for the groups above as well.
    const uint64_t kills = group_kills(&run->groups[i]);
    if (kills > run->kills) run->kills = kills;
  }
  if (!remove_groups(session)) say("", group_error());
  return ended;
}

// --- The two processes ---

static int keep(const Session* session, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) return kInterrupted;
  setsid();
  const Options* options = &session->options;
  long survived = 0, done = 0;
  uint64_t peak_bytes = 0;
  for (; done < options->repeat; ++done) {
    Run run = {.child = -1};
    if (!run_once(session, &run, done)) return kInterrupted;
    const int status = WIFEXITED(run.status) ? WEXITSTATUS(run.status) : -1;
    if (status == kSkipped || status == kBadUsage) return status;
    report(session, &run);
    survived += is_good(options, &run);
    if (run.peak_bytes > peak_bytes) peak_bytes = run.peak_bytes;
  }
  if (done > 1) {
    printf("in_group: survived_runs=%ld runs=%ld peak_max_mib=%.1f\n", survived, done,
           mib(peak_bytes));
  }
  fflush(stdout);
  return survived == done ? 0 : 1;
}

static int wait_for_keeper(const Session* session, pid_t keeper) {
  int status = 0;
  while (waitpid(keeper, &status, WNOHANG) == 0) {
    const int signal_number = sigwaitinfo(&session->signals, NULL);
    if (signal_number > 0 && signal_number != SIGCHLD) kill(keeper, SIGTERM);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) != kInterrupted) return WEXITSTATUS(status);
  return remove_groups(session) ? kInterrupted : 1;
}

int main(int argc, char** argv) {
  (void)argc;
  static Session session;
  session.options = parse(argv + 1);
  snprintf(session.name, sizeof session.name, "elasticpool-test-%d", (int)getpid());
  sigemptyset(&session.signals);
  sigaddset(&session.signals, SIGCHLD);
  sigaddset(&session.signals, SIGINT);
  sigaddset(&session.signals, SIGTERM);
  sigaddset(&session.signals, SIGHUP);
  sigprocmask(SIG_BLOCK, &session.signals, NULL);
  if (!group_find_place(&session.place, session.options.version, session.name)) {
    say("skipped: ", group_error());
    return kSkipped;
  }
  // Nobody is left to be told how it went.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  const pid_t parent = getpid();
  const pid_t keeper = fork();
  if (keeper < 0) {
    say("fork: ", strerror(errno));
    return 1;
  }
  const int status = keeper == 0 ? keep(&session, parent) : wait_for_keeper(&session, keeper);
  if (keeper != 0) group_leave_place(&session.place);
  return status;
}
