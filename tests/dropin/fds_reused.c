// A process closes every descriptor with close_range() and its data file gets all the numbers: the
// allocator, which had fd 2 as its stderr, writes nothing there any more.
//
//   stats   neither the report at exit,
//   file    which goes to a file of its own where one is named,
//   misuse  nor the line of a double free, which still aborts.
//
// A broken allocator writes into the program's data. That is data loss.
#include <sys/stat.h>

#include "dropin.h"

enum { kFds = 64 };

static const char kContent[] = "the program's own data\n";

static _Noreturn void write_data_in_all_fds(const char* path, bool misuse) {
  close_range(0, ~0u, 0);
  for (int fd = 0; fd < kFds; ++fd) {
    if (open(path, O_WRONLY | O_APPEND) != fd) _exit(11);
  }
  use_heap(1, 10000);
  if (write(2, kContent, sizeof kContent - 1) != sizeof kContent - 1) _exit(12);
  if (misuse) {
    void* block = filled(100, 1);
    free(block);
    free(opaque(block));
  }
  exit(0);
}

static void expect_reported_elsewhere(const char* how, char* data_path, char* report_path) {
  const bool named = strcmp(how, "file") == 0;
  char report_option[PATH_MAX + 32];
  snprintf(report_option, sizeof report_option, "MEMPOOL_STATS_FILE=%s", report_path);
  const char* const env[] = {"MEMPOOL_STATS=1", named ? report_option : NULL, NULL};
  if (!named) {  // or there would be no report to miss
    const Child reporting = run_self((const char* const[]){"report", "", NULL}, env);
    EXPECT(exited_with(reporting.status, 0) && strchr(reporting.err, '\n') != NULL);
  }
  const Child child = run_self((const char* const[]){how, data_path, NULL}, env);
  const bool misuse = strcmp(how, "misuse") == 0;
  EXPECT(misuse ? killed_by(child.status, SIGABRT) : exited_with(child.status, 0));

  char text[4096];
  const int data = open(data_path, O_RDONLY);
  EXPECT(data >= 0 && unlink(data_path) == 0);
  read_all(data, text, sizeof text);
  EXPECT(strcmp(text, kContent) == 0);
  struct stat report;
  EXPECT((stat(report_path, &report) == 0 && report.st_size > 0) == named);
  unlink(report_path);
}

int main(int argc, char** argv) {
  EXPECT(argc >= 2);
  const char* how = argv[1];
  if (argc == 3) {
    if (strcmp(how, "report") == 0) return 0;
    write_data_in_all_fds(argv[2], strcmp(how, "misuse") == 0);
  }
  char data_path[PATH_MAX], report_path[PATH_MAX];
  char directory[] = "/tmp/dropin-XXXXXX";
  EXPECT(mkdtemp(directory) != NULL);
  snprintf(data_path, sizeof data_path, "%s/data", directory);
  snprintf(report_path, sizeof report_path, "%s/report", directory);
  EXPECT(close(open(data_path, O_CREAT | O_WRONLY, 0600)) == 0);
  expect_reported_elsewhere(how, data_path, report_path);
  EXPECT(rmdir(directory) == 0);
  return 0;
}
