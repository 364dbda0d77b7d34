// sqlite: databases in memory, one per thread: inserts, an index, sorts, joins, updates, deletes.
//
//   sqlite [--threads=N] [--scale=PERCENT] [--seed=N] [--file=PATH]
//
// With --file each database is the file PATH-N, which is written anew and removed at the end; it is
// not synced, so that the disk's speed counts little.
//
// Prints the same kind of line as the other workloads (workload.h).
#include <inttypes.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { kRows = 60000, kAccounts = 3000, kThreadsMax = 64 };

struct work {
  pthread_t thread;
  uint64_t state;  // of the random generator
  int rows;
  uint64_t checksum;
  uint64_t statements;
  sqlite3* database;
  char path[512];
};

static uint64_t next_random(struct work* work, uint64_t bound) {
  work->state = work->state * 6364136223846793005u + 1442695040888963407u;
  return (work->state >> 33) % bound;
}

static void require(struct work* work, int ok) {
  if (ok) return;
  fprintf(stderr, "sqlite: %s\n",
          work->database != NULL ? sqlite3_errmsg(work->database) : "cannot open");
  exit(1);
}

static sqlite3_stmt* prepare(struct work* work, const char* text) {
  sqlite3_stmt* statement = NULL;
  require(work, sqlite3_prepare_v2(work->database, text, -1, &statement, NULL) == SQLITE_OK);
  return statement;
}

// Runs it to its end; every column of every row goes into the checksum.
static void step_all(struct work* work, sqlite3_stmt* statement) {
  int state;
  while ((state = sqlite3_step(statement)) == SQLITE_ROW) {
    for (int column = 0; column < sqlite3_column_count(statement); ++column) {
      const unsigned char* text = sqlite3_column_text(statement, column);
      for (; text != NULL && *text != 0; ++text) work->checksum = work->checksum * 31 + *text;
    }
  }
  require(work, state == SQLITE_DONE);
  require(work, sqlite3_reset(statement) == SQLITE_OK);
  ++work->statements;
}

static void execute(struct work* work, const char* text) {
  sqlite3_stmt* statement = prepare(work, text);
  step_all(work, statement);
  sqlite3_finalize(statement);
}

static void bind_text(struct work* work, sqlite3_stmt* statement, int index, size_t length) {
  char text[256];
  for (size_t i = 0; i < length; ++i) text[i] = (char)('a' + next_random(work, 26));
  require(work, sqlite3_bind_text(statement, index, text, (int)length, SQLITE_TRANSIENT) == 0);
}

static void insert_rows(struct work* work) {
  sqlite3_stmt* insert = prepare(work, "INSERT INTO entry VALUES (?, ?, ?, ?, ?)");
  for (int row = 0; row < work->rows; ++row) {
    sqlite3_bind_int(insert, 1, row);
    sqlite3_bind_int(insert, 2, (int)next_random(work, kAccounts));
    sqlite3_bind_int64(insert, 3, (int64_t)next_random(work, 1000000));
    bind_text(work, insert, 4, 8 + next_random(work, 24));
    bind_text(work, insert, 5, 16 + next_random(work, 200));
    step_all(work, insert);
  }
  sqlite3_finalize(insert);
  insert = prepare(work, "INSERT INTO account VALUES (?, ?)");
  for (int account = 0; account < kAccounts; ++account) {
    sqlite3_bind_int(insert, 1, account);
    bind_text(work, insert, 2, 10 + next_random(work, 30));
    step_all(work, insert);
  }
  sqlite3_finalize(insert);
}

// Each look-up prepares its statement anew, as programs without a statement cache do.
static void look_up(struct work* work, int count) {
  for (int i = 0; i < count; ++i) {
    sqlite3_stmt* select = prepare(
        work, "SELECT title, length(body) FROM entry WHERE account = ? ORDER BY amount LIMIT 5");
    sqlite3_bind_int(select, 1, (int)next_random(work, kAccounts));
    step_all(work, select);
    sqlite3_finalize(select);
  }
}

static void open_database(struct work* work) {
  const int on_disk = work->path[0] != 0;
  if (on_disk) unlink(work->path);
  require(work, sqlite3_open(on_disk ? work->path : ":memory:", &work->database) == SQLITE_OK);
  if (on_disk) execute(work, "PRAGMA synchronous = OFF");
}

static void* run(void* argument) {
  struct work* work = argument;
  open_database(work);
  execute(work,
          "CREATE TABLE entry (id INTEGER PRIMARY KEY, account INT, amount INT, title, body)");
  execute(work, "CREATE TABLE account (id INTEGER PRIMARY KEY, name)");
  execute(work, "BEGIN");
  insert_rows(work);
  execute(work, "COMMIT");
  execute(work, "CREATE INDEX by_account ON entry (account, amount)");
  execute(work, "CREATE INDEX by_title ON entry (title)");
  look_up(work, work->rows / 10);
  execute(work, "SELECT count(*), sum(n) FROM (SELECT length(body) AS n FROM entry ORDER BY body)");
  execute(work,
          "SELECT name, count(*), sum(amount), group_concat(substr(title, 1, 4)) FROM entry"
          " JOIN account ON account.id = entry.account GROUP BY name ORDER BY 3 DESC");
  execute(work, "UPDATE entry SET body = body || title, amount = amount + 7 WHERE id % 3 = 0");
  execute(work, "DELETE FROM entry WHERE id % 4 = 1");
  execute(work, "CREATE TABLE copy AS SELECT account, upper(title) AS t FROM entry ORDER BY t");
  look_up(work, work->rows / 10);
  execute(work, "SELECT count(DISTINCT t), max(t) FROM copy");
  execute(work, "DROP TABLE entry");
  execute(work, "PRAGMA integrity_check");
  require(work, sqlite3_close(work->database) == SQLITE_OK);
  if (work->path[0] != 0) unlink(work->path);
  return NULL;
}

int main(int argc, char** argv) {
  unsigned threads = 1, scale_percent = 100, seed = 42;
  char path[400] = "";
  for (int i = 1; i < argc; ++i) {
    if (sscanf(argv[i], "--threads=%u", &threads) != 1 &&
        sscanf(argv[i], "--scale=%u", &scale_percent) != 1 &&
        sscanf(argv[i], "--seed=%u", &seed) != 1 && sscanf(argv[i], "--file=%399s", path) != 1) {
      threads = 0;
    }
  }
  if (threads < 1 || threads > kThreadsMax) {
    fputs("sqlite: usage: [--threads=1..64] [--scale=PERCENT] [--seed=N] [--file=PATH]\n", stderr);
    return 2;
  }
  static struct work works[kThreadsMax];
  uint64_t checksum = 0, statements = 0;
  for (unsigned i = 0; i < threads; ++i) {
    works[i].state = seed + i;
    if (path[0] != 0) snprintf(works[i].path, sizeof works[i].path, "%s-%u", path, i);
    works[i].rows = (int)(kRows * (uint64_t)scale_percent / 100) + 10;
    if (pthread_create(&works[i].thread, NULL, run, &works[i]) != 0) return 1;
  }
  for (unsigned i = 0; i < threads; ++i) {
    pthread_join(works[i].thread, NULL);
    checksum += works[i].checksum;
    statements += works[i].statements;
  }
  printf("checksum=%016" PRIx64 " operations=%" PRIu64 "\n", checksum, statements);
  return 0;
}
