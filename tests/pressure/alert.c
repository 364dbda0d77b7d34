// What MEMPOOL_ALERT says and does, and what it leaves alone.
//
//   alert stderr      over the limit's levels and back, several times in a few seconds: one line
//   alert file        the lines go to a file, and not to standard error
//   alert fifo        a FIFO that nobody reads, one that is full, one whose reader has gone: the
//                     program neither waits nor gets SIGPIPE
//   alert exec        a command is run; the program has no child, no SIGCHLD and no descriptor more
//   alert off         nothing is said
//   alert soft        MEMPOOL_SOFT_LIMIT is passed three times: one line says so
//   alert bad         values that mean nothing: one line each, and the program runs
//
// Each starts itself again with the variables that it is about.
#include <stdatomic.h>
#include <sys/stat.h>

#include "pressure_test.h"

enum { kLimitMib = 64, kPressedMib = 62, kRelaxedMib = 20, kTimes = 3, kWorkMs = 600 };
enum { kPatienceMs = 30000 };

static char g_folder[] = "/tmp/elasticpool-test-XXXXXX";

static atomic_int g_child_signals;

static void count_child_signal(int number) {
  (void)number;
  atomic_fetch_add(&g_child_signals, 1);
}

static void up_and_down(void) {
  for (int i = 0; i < kTimes; ++i) {
    press_to_mib(kPressedMib);
    work_for_ms(kWorkMs);
    press_to_mib(kRelaxedMib);
    work_for_ms(kWorkMs);
  }
  press_to_mib(0);
}

static unsigned count_open_descriptors(void) {
  unsigned count = 0;
  for (int fd = 0; fd < 1024; ++fd) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

// With `shown` it ends only when the command has left that file.
static void live_with_command(const char* shown) {
  EXPECT(signal(SIGCHLD, count_child_signal) != SIG_ERR);
  const unsigned descriptors = count_open_descriptors();
  const uint64_t end_ns = now_ns() + (uint64_t)kPatienceMs * 1000000u;
  while (access(shown, F_OK) != 0 && now_ns() < end_ns) {
    up_and_down();
    int status = 0;
    errno = 0;
    EXPECT(waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD);
  }
  EXPECT(access(shown, F_OK) == 0);
  work_for_ms(kWorkMs);
  errno = 0;
  EXPECT(wait(NULL) == -1 && errno == ECHILD);
  EXPECT(atomic_load(&g_child_signals) == 0);
  EXPECT(count_open_descriptors() <= descriptors);
}

static Child live(const char* const* env) {
  const Child child = run_self((const char*[]){"live", NULL}, env);
  EXPECT(exited_with(child.status, 0));
  return child;
}

static unsigned count_lines(const char* text) {
  unsigned count = 0;
  for (; (text = strchr(text, '\n')) != NULL; ++text) ++count;
  return count;
}

static void expect_lines(const char* text, unsigned wanted) {
  const bool good = count_lines(text) == wanted &&
                    (wanted == 0 || strncmp(text, "elasticpool: ", strlen("elasticpool: ")) == 0);
  if (!good) fprintf(stderr, "expected %u lines, got:\n%s\n", wanted, text);
  EXPECT(good);
}

static const char* in_folder(char* path, const char* name) {
  EXPECT(snprintf(path, PATH_MAX, "%s/%s", g_folder, name) < PATH_MAX);
  return path;
}

static const char* setting(char* text, const char* before, const char* path) {
  EXPECT(snprintf(text, PATH_MAX + 64, "%s%s", before, path) > 0);
  return text;
}

#define LIMIT "MEMPOOL_LIMIT=64M"

static void to_stderr(void) {
  const Child child = live((const char*[]){LIMIT, "MEMPOOL_ALERT=stderr", NULL});
  expect_lines(child.err, 1);
}

static void off(void) {
  const Child child = live((const char*[]){LIMIT, "MEMPOOL_ALERT=off", NULL});
  expect_lines(child.err, 0);
}

static void to_file(void) {
  char path[PATH_MAX], variable[PATH_MAX + 64], text[8192];
  in_folder(path, "alerts");
  const Child child = live((const char*[]){LIMIT, setting(variable, "MEMPOOL_ALERT=", path), NULL});
  expect_lines(child.err, 0);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  EXPECT(fd >= 0);
  read_all(fd, text, sizeof text);
  EXPECT(unlink(path) == 0);
  expect_lines(text, 1);
}

static void to_fifo(void) {
  char path[PATH_MAX], variable[PATH_MAX + 64];
  in_folder(path, "fifo");
  EXPECT(mkfifo(path, 0600) == 0);
  const char* env[] = {LIMIT, setting(variable, "MEMPOOL_ALERT=", path), NULL};
  // Nobody reads.
  live(env);
  // It is full.
  const int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const int writer = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  EXPECT(reader >= 0 && writer >= 0);
  char full[4096] = "";
  while (write(writer, full, sizeof full) > 0) {
  }
  live(env);
  // The reader goes while the program lives: which of its lines meets that is chance.
  EXPECT(close(writer) == 0);
  while (read(reader, full, sizeof full) > 0) {
  }
  const pid_t child = fork();
  if (child == 0) {
    live(env);
    _exit(0);
  }
  usleep(500000);
  EXPECT(close(reader) == 0);
  expect_success(child);
  EXPECT(unlink(path) == 0);
}

static void command(void) {
  char path[PATH_MAX], variable[PATH_MAX + 64];
  in_folder(path, "shown");
  setting(variable, "MEMPOOL_ALERT=exec:echo seen >> ", path);
  const Child child = run_self((const char*[]){"live-with-command", path, NULL},
                               (const char*[]){LIMIT, variable, NULL});
  if (!exited_with(child.status, 0)) fprintf(stderr, "%s%s", child.out, child.err);
  EXPECT(exited_with(child.status, 0));
  EXPECT(unlink(path) == 0);
}

static void soft(void) {
  const Child child = live((const char*[]){"MEMPOOL_SOFT_LIMIT=40M", "MEMPOOL_ALERT=stderr", NULL});
  expect_lines(child.err, 1);
}

static void bad(void) {
  static const char* const kBad[] = {
      "MEMPOOL_FORECAST=maybe",
      "MEMPOOL_LIMIT=much",
      "MEMPOOL_SOFT_LIMIT=-5",
      "MEMPOOL_HARD_LIMIT=1Q",
      "MEMPOOL_PRESSURE_LEVELS=90,80,70,60",
      "MEMPOOL_PRESSURE_LEVELS=70,80,90",
      "MEMPOOL_PRESSURE_LEVELS=70,80,90,101",
      "MEMPOOL_ALERT=relative/path",
      "MEMPOOL_ALERT=exec:",
      "MEMPOOL_HELPER_HEAP=x",
  };
  for (size_t i = 0; i < sizeof kBad / sizeof *kBad; ++i) {
    const Child child = live((const char*[]){kBad[i], NULL});
    const bool good = count_lines(child.err) == 1 && strstr(child.err, "MEMPOOL_") != NULL;
    if (!good) fprintf(stderr, "%s: got:\n%s\n", kBad[i], child.err);
    EXPECT(good);
  }
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*run)(void);
  } kModes[] = {{"stderr", to_stderr}, {"file", to_file}, {"fifo", to_fifo}, {"exec", command},
                {"off", off},          {"soft", soft},    {"bad", bad}};
  EXPECT(argc >= 2);
  if (strcmp(argv[1], "live") == 0) {
    up_and_down();
    return 0;
  }
  need_pressure_functions();
  if (strcmp(argv[1], "live-with-command") == 0) {
    live_with_command(argv[2]);
    return 0;
  }
  EXPECT(mkdtemp(g_folder) != NULL);
  for (size_t i = 0; i < sizeof kModes / sizeof *kModes; ++i) {
    if (strcmp(argv[1], kModes[i].name) != 0) continue;
    kModes[i].run();
    EXPECT(rmdir(g_folder) == 0);
    return 0;
  }
  FAIL("there is no such mode");
}
