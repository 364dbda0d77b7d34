// Four threads use sqlite at once: a database in memory each, then one on disk together.
//
// What it prints is the same in every run, whichever thread comes first: the tests compare it.

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

enum { kThreads = 4, kRows = 20000, kSharedRows = 400, kBusyTimeoutMs = 60000 };

static const char kFileName[] = "shared.db";

static void die(sqlite3* database, const char* what) {
  fprintf(stderr, "sqlite_threads: %s: %s\n", what, sqlite3_errmsg(database));
  exit(1);
}

static void run(sqlite3* database, const char* sql) {
  if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK) die(database, sql);
}

static sqlite3* open_database(const char* name) {
  sqlite3* database = NULL;
  if (sqlite3_open(name, &database) != SQLITE_OK) die(database, name);
  sqlite3_busy_timeout(database, kBusyTimeoutMs);
  return database;
}

static void print_value(sqlite3* database, const char* label, const char* sql) {
  sqlite3_stmt* query = NULL;
  if (sqlite3_prepare_v2(database, sql, -1, &query, NULL) != SQLITE_OK) die(database, sql);
  if (sqlite3_step(query) != SQLITE_ROW) die(database, sql);
  printf("%s %s\n", label, (const char*)sqlite3_column_text(query, 0));
  sqlite3_finalize(query);
}

static void insert(sqlite3* database, int thread, int rows) {
  sqlite3_stmt* statement = NULL;
  const char* sql =
      "INSERT INTO item VALUES(?1, ?2, printf('%x.%.*c', ?2 * 7919 % 65537, ?2 % 300, 'x'))";
  if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK) die(database, sql);
  for (int row = 0; row < rows; ++row) {
    sqlite3_bind_int(statement, 1, thread);
    sqlite3_bind_int(statement, 2, row);
    if (sqlite3_step(statement) != SQLITE_DONE) die(database, sql);
    sqlite3_reset(statement);
  }
  sqlite3_finalize(statement);
}

// One thread: fills and changes its own database, then adds to the one of all, a row a transaction
// so that the threads take turns. Returns its database, for main to look into.
static void* work(void* argument) {
  const int thread = (int)(long)argument;
  sqlite3* own = open_database(":memory:");
  run(own, "CREATE TABLE item(thread INT, row INT, name TEXT); BEGIN");
  insert(own, thread, kRows);
  run(own,
      "COMMIT; CREATE INDEX by_name ON item(name);"
      "UPDATE item SET name = upper(name) || row WHERE row % 3 = 0;"
      "DELETE FROM item WHERE row % 5 = 0; VACUUM");
  sqlite3* shared = open_database(kFileName);
  insert(shared, thread, kSharedRows);
  sqlite3_close(shared);
  return own;
}

int main(void) {
  sqlite3* shared = open_database(kFileName);
  run(shared,
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;"
      "CREATE TABLE item(thread INT, row INT, name TEXT)");
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) {
    if (pthread_create(&threads[i], NULL, work, (void*)i) != 0) return 1;
  }
  for (int i = 0; i < kThreads; ++i) {
    void* own = NULL;
    if (pthread_join(threads[i], &own) != 0) return 1;
    print_value(own, "rows", "SELECT count(*) || ' ' || sum(length(name)) FROM item");
    print_value(own, "groups",
                "SELECT max(list) FROM (SELECT group_concat(name) AS list FROM item"
                " GROUP BY row % 100)");
    print_value(own, "check", "PRAGMA integrity_check");
    sqlite3_close(own);
  }
  print_value(shared, "together",
              "SELECT group_concat(name) FROM (SELECT * FROM item ORDER BY thread, row)");
  print_value(shared, "check", "PRAGMA integrity_check");
  sqlite3_close(shared);
  remove(kFileName);  // the order of its rows depends on the threads' timing
  return 0;
}
