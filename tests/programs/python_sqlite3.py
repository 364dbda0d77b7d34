#!/usr/bin/python3
"""python3's sqlite3 module: functions, aggregates, adapters, blobs, backups, dumps and threads."""

import harness

SCRIPT = r"""
import concurrent.futures, gc, hashlib, random, sqlite3, sys

class Median:
    def __init__(self): self.values = []
    def step(self, value): self.values.append(value)
    def finalize(self): return sorted(self.values)[len(self.values) // 2]

class Point:
    def __init__(self, x, y): self.x, self.y = x, y
    def __conform__(self, protocol): return f"{self.x};{self.y}"

def backwards(a, b):
    return (a[::-1] > b[::-1]) - (a[::-1] < b[::-1])

def fill(name, seed):
    chance = random.Random(seed)
    database = sqlite3.connect(name, isolation_level=None, detect_types=sqlite3.PARSE_DECLTYPES)
    database.create_function("reverse", 1, lambda word: word[::-1])
    database.create_aggregate("median", 1, Median)
    database.create_collation("backwards", backwards)
    sqlite3.register_converter("point", lambda data: Point(*map(int, data.split(b";"))))
    database.execute("create table item"
                     "(id integer primary key, name text, size int, at point, data blob)")
    database.execute("begin")
    database.executemany("insert into item values (?, ?, ?, ?, ?)", (
        (i, f"{chance.getrandbits(48):x}", chance.randrange(1000), Point(i, -i),
         chance.randbytes(chance.randrange(400))) for i in range(8000)))
    database.execute("commit")
    database.execute("create index by_name on item(name collate backwards)")
    return database

def report(seed):
    database = fill(":memory:", seed)
    digest = hashlib.sha256()
    for query in ("select size, median(id), count(*), group_concat(name) from item group by size",
                  "select reverse(name), length(data) from item order by name collate backwards",
                  "select a.id, b.name from item a join item b on a.id = b.size order by 1, 2"):
        for row in database.execute(query):
            digest.update(repr(row).encode())
    points = [row[0] for row in database.execute("select at from item")]
    digest.update(str(sum(point.x * -point.y for point in points)).encode())
    with database.blobopen("item", "data", 7) as blob:
        digest.update(blob.read())
    copy = sqlite3.connect(":memory:")
    copy.create_collation("backwards", backwards)
    database.backup(copy, pages=20)
    for line in copy.iterdump():
        digest.update(line.encode())
    image = copy.serialize()
    copy.deserialize(image)
    try:
        copy.execute("insert into item(id) values (1)")
    except sqlite3.IntegrityError as error:
        digest.update(str(error).encode())
    return digest.hexdigest(), len(image), copy.execute("pragma integrity_check").fetchone()

with concurrent.futures.ThreadPoolExecutor(4) as pool:
    for result in pool.map(report, range(6)):
        print(*result)
on_disk = fill("file.db", 7)
on_disk.execute("pragma journal_mode=wal")
on_disk.execute("delete from item where id % 3 = 0")
on_disk.execute("vacuum")
print(on_disk.execute("pragma integrity_check").fetchone(), gc.collect() >= 0)
on_disk.close()
sys.exit(3)
"""


def body(trial: harness.Harness) -> None:
    outcome = trial.same(["python3.11", "-c", SCRIPT], succeeds=False)
    if outcome.code != 3:
        raise harness.Failure(f"python3 ends with {outcome.code}:\n"
                              f"{harness.tail(outcome.errors)}")


if __name__ == "__main__":
    harness.main(body)
