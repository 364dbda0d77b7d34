#!/usr/bin/python3
"""sqlite3: a sort larger than its cache, checks of a database on disk, and threads.

    sqlite.py LIBRARY SQLITE_THREADS     the program of sqlite_threads.c
"""

import pathlib
import sys

import harness

SCRIPT = """
PRAGMA cache_size = -4000;
PRAGMA threads = 2;
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, note TEXT);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000)
  INSERT INTO item SELECT i, hex(i * 104729 % 1299709), printf('%.*c%d', i % 200, 'x', i) FROM n;
COMMIT;
CREATE INDEX by_note ON item(note DESC, name);
SELECT * FROM (SELECT row_number() OVER (ORDER BY name, note) AS place, * FROM item)
  WHERE place % 1000 = 0;
SELECT a.name, count(*), json_group_array(b.id) FROM item a JOIN item b ON a.name = b.name
  WHERE a.id % 500 = 0 GROUP BY a.name ORDER BY a.name;
UPDATE item SET note = upper(note) || id WHERE id % 3 = 0;
DELETE FROM item WHERE id % 4 = 0;
PRAGMA integrity_check;
VACUUM;
REINDEX;
PRAGMA integrity_check;
.dump item
"""


def body(trial: harness.Harness) -> None:
    script = trial.scratch / "script.sql"
    script.write_text(SCRIPT)
    outcome = trial.same(["sqlite3", "-batch", "-bail", "items.db"], stdin=script)
    if outcome.output.splitlines().count(b"ok") != 2:
        raise harness.Failure("sqlite3: the database is damaged")
    outcome = trial.same([str(pathlib.Path(sys.argv[2]).resolve())])
    if outcome.output.count(b"check ok\n") != 5:
        raise harness.Failure("sqlite_threads: a database is damaged")


if __name__ == "__main__":
    harness.main(body)
