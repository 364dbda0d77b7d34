// This program again, and what its statistics say when it has ended.
#ifndef ELASTICPOOL_TESTS_STATS_REPORT_H_
#define ELASTICPOOL_TESTS_STATS_REPORT_H_

#include "dropin.h"

// The child must exit with 0. The text lives until the next call.
static inline const char* report_of_self(const char* const* args) {
  static char text[64 * kKiB];
  char path[] = "/tmp/dropin_report_XXXXXX";
  const int file = mkstemp(path);
  EXPECT(file >= 0);
  char variable[64];
  snprintf(variable, sizeof variable, "MEMPOOL_STATS_FILE=%s", path);
  const Child child = run_self(args, (const char* const[]){"MEMPOOL_STATS=json", variable, NULL});
  fprintf(stderr, "%s", child.err);
  read_all(file, text, sizeof text);
  unlink(path);
  EXPECT(exited_with(child.status, 0));
  return text;
}

// The first number behind "key": that stands behind "object":.
static inline long number_in(const char* report, const char* object, const char* key) {
  char quoted[64];
  if (object != NULL) {
    snprintf(quoted, sizeof quoted, "\"%s\":{", object);
    report = strstr(report, quoted);
    EXPECT(report != NULL);
  }
  snprintf(quoted, sizeof quoted, "\"%s\":", key);
  report = strstr(report, quoted);
  EXPECT(report != NULL);
  return strtol(report + strlen(quoted), NULL, 10);
}

#endif  // ELASTICPOOL_TESTS_STATS_REPORT_H_
