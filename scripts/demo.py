#!/usr/bin/python3
"""Measures redis and sqlite on glibc, jemalloc and elasticpool, and prints a table.

    demo.py LIBRARY [--rounds N] [--json FILE]

In each round every allocator runs both workloads, in an order that moves on from round to round, so
that what else the machine does meets all of them alike. The table shows medians over the rounds.

redis    redis-server alone is preloaded; redis-benchmark drives it through a Unix socket.
sqlite   the sqlite3 shell runs one generated script on a database in memory.
"""

import argparse
import contextlib
import ctypes
import dataclasses
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

BASELINE = "jemalloc"
OURS = "elasticpool"
START_TIMEOUT_S = 30
REDIS_TESTS = "set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset"
REDIS_REQUESTS = 120_000
REDIS_OPTIONS = ["-n", str(REDIS_REQUESTS), "-r", "100000", "-d", "300", "-P", "16", "-c", "50"]
SQLITE_SCRIPT = """
PRAGMA temp_store = memory;
CREATE TABLE item(id INTEGER PRIMARY KEY, owner INT, name TEXT, note TEXT);
CREATE TABLE owner(id INTEGER PRIMARY KEY, name TEXT UNIQUE);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
  INSERT INTO item SELECT i, i * 7919 % 20011, hex(i * 104729 % 1299709),
                          printf('%.*c', i % 120, 'x') || i FROM n;
INSERT INTO owner SELECT DISTINCT owner, 'owner ' || owner FROM item;
CREATE INDEX by_owner ON item(owner, name);
CREATE INDEX by_name ON item(name);
SELECT count(*), sum(length(note)) FROM item;
SELECT count(*), max(total) FROM (SELECT owner.name, group_concat(item.name) AS list,
  sum(length(note)) AS total FROM item JOIN owner ON owner.id = item.owner GROUP BY owner.name);
SELECT count(DISTINCT substr(upper(note), -4)) FROM item;
SELECT count(*) FROM (SELECT note, name FROM item ORDER BY note DESC, name LIMIT 250000);
SELECT count(*) FROM item a JOIN item b ON a.name = b.name WHERE a.id < 150000;
SELECT count(*) FROM (SELECT json_group_array(json_object('name', name, 'note', note))
  FROM item GROUP BY owner % 3000);
UPDATE item SET note = replace(note, 'x', 'yz') WHERE id % 3 = 0;
DELETE FROM item WHERE id % 4 = 0;
SELECT count(*), sum(length(note)) FROM item;
PRAGMA integrity_check;
"""
# Above this share of the machine, other processes are worth a warning.
DISTURBED = 0.10


@dataclasses.dataclass
class Sample:
    """One run of one workload on one allocator."""

    value: float  # requests per second, or seconds
    cpu_s: float  # processor time of the preloaded process
    peak_kib: int
    disturbed: float  # share of the machine that other processes took meanwhile


class Bystanders:
    """How busy processes other than our own are: all processor time less that of our children."""

    def __init__(self):
        self._start = self._read()

    def share(self) -> float:
        """Since construction. Processes of ours count once they have been waited for."""
        wall, busy, own = (now - then for now, then in zip(self._read(), self._start))
        return max(0.0, busy - own) / (wall * os.cpu_count())

    @staticmethod
    def _read() -> tuple[float, float, float]:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
        busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        return time.monotonic(), busy, sum(os.times()[:4])


def shared_library(name: str) -> str:
    """The path under which ld.so knows a library."""
    cache = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True)
    for line in cache.stdout.splitlines():
        if line.split()[:1] == [name]:
            return line.split()[-1]
    sys.exit(f"demo.py: {name} is not installed")


def die_with_parent() -> None:
    """Between fork and exec: what we start never outlives us, not even if we are killed."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


@contextlib.contextmanager
def started(command: list[str], **options):
    """A child process that is gone when the block is left, however it is left."""
    with subprocess.Popen(command, preexec_fn=die_with_parent, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def preloading(library: str, **options: str) -> dict[str, str]:
    return os.environ | {"LD_PRELOAD": library, "LC_ALL": "C.UTF-8"} | options


def wait_for_socket(path: pathlib.Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.connect(str(path))
            return
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit("demo.py: redis-server does not start")
        time.sleep(0.01)


def must_be_loaded(library: str, process: subprocess.Popen) -> None:
    if os.path.realpath(library) not in pathlib.Path(f"/proc/{process.pid}/maps").read_text():
        sys.exit(f"demo.py: {process.args[0]} runs without {library}")


def sample_of(process: subprocess.Popen, value: float, bystanders: Bystanders) -> Sample:
    """Waits for the end of the process and asks the kernel what it used."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"demo.py: {process.args[0]} ended with {process.returncode}")
    return Sample(value, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, bystanders.share())


def run_redis(library: str, scratch: pathlib.Path, report: pathlib.Path) -> Sample:
    """One server under load; what MEMPOOL_STATS=1 says at its exit goes to the report."""
    path = scratch / "redis.socket"
    environment = preloading(library, MEMPOOL_STATS="1", MEMPOOL_STATS_FILE=str(report))
    server_command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "",
                      "--appendonly", "no", "--dir", str(scratch),
                      "--logfile", str(scratch / "log")]
    bystanders = Bystanders()
    with started(server_command, env=environment) as server:
        wait_for_socket(path, server)
        must_be_loaded(library, server)
        begin = time.monotonic()
        subprocess.run(["redis-benchmark", "-s", str(path), "-q", "-t", REDIS_TESTS,
                        *REDIS_OPTIONS], check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - begin
        subprocess.run(["redis-cli", "-s", str(path), "shutdown", "nosave"], check=True)
        requests = REDIS_REQUESTS * len(REDIS_TESTS.split(","))
        return sample_of(server, requests / seconds, bystanders)


def run_sqlite(library: str, scratch: pathlib.Path, _report: pathlib.Path) -> Sample:
    script = scratch / "script.sql"
    script.write_text(SQLITE_SCRIPT)
    bystanders = Bystanders()
    begin = time.monotonic()
    with script.open() as source, \
            started(["sqlite3", "-batch", ":memory:"], env=preloading(library), stdin=source,
                    stdout=subprocess.PIPE) as shell:
        if not shell.stdout.read().endswith(b"ok\n"):
            sys.exit(f"demo.py: sqlite3 gives a wrong answer on {library}")
        return sample_of(shell, time.monotonic() - begin, bystanders)


WORKLOADS = {"redis": run_redis, "sqlite": run_sqlite}


def measure(allocators: dict[str, str], rounds: int) -> tuple[dict, str]:
    """All samples by workload and allocator, and what the library said of its last redis run."""
    samples = {workload: {name: [] for name in allocators} for workload in WORKLOADS}
    names = list(allocators)
    with tempfile.TemporaryDirectory(prefix="elasticpool-demo-") as directory:
        report = pathlib.Path(directory) / "report"
        for i in range(rounds):
            for name in names[i % len(names):] + names[:i % len(names)]:
                for workload, run in WORKLOADS.items():
                    print(f"round {i + 1} of {rounds}: {workload} on {name}", file=sys.stderr)
                    with tempfile.TemporaryDirectory(dir=directory) as scratch:
                        sample = run(allocators[name], pathlib.Path(scratch), report)
                    samples[workload][name].append(sample)
        said = report.read_text() if report.exists() else "(the library left no statistics)\n"
    return samples, said


def median(samples: list[Sample], field: str) -> float:
    return statistics.median(getattr(sample, field) for sample in samples)


def print_table(title: str, figure: str, by_allocator: dict) -> None:
    def cell(samples: list[Sample], field: str, shown) -> str:
        ratio = median(samples, field) / median(by_allocator[BASELINE], field)
        return f"{shown(median(samples, field)):>12} {f'({ratio:.3f})':>9}"

    heads = (figure, "processor", "peak memory")
    print(f"\n{title}\n  {'':12}" + "".join(f"{head:>12} {'':9}" for head in heads).rstrip())
    for name, samples in by_allocator.items():
        print(f"  {name:12}"
              + cell(samples, "value", lambda x: f"{x:,.0f}" if x > 1000 else f"{x:.2f} s")
              + cell(samples, "cpu_s", lambda x: f"{x:.2f} s")
              + cell(samples, "peak_kib", lambda x: f"{x / 1024:.1f} MiB"))


def print_disturbances(samples: dict) -> None:
    shares = [sample.disturbed for by_allocator in samples.values()
              for runs in by_allocator.values() for sample in runs]
    disturbed = [share for share in shares if share > DISTURBED]
    if disturbed:
        print(f"\nWarning: in {len(disturbed)} of {len(shares)} runs other processes took more "
              f"than {DISTURBED:.0%} of the machine (at worst {max(disturbed):.0%}): trust ratios "
              f"only, and these with care.")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/run", description=__doc__.splitlines()[0])
    parser.add_argument("library", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each kind (default 5)")
    parser.add_argument("--json", type=pathlib.Path, help="write every sample there")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds is at least 1")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _frame: sys.exit(128 + got))

    # Debian's redis-server is linked to jemalloc; preloading libc puts glibc's malloc before it.
    allocators = {"glibc": shared_library("libc.so.6"),
                  BASELINE: shared_library("libjemalloc.so.2"),
                  OURS: options.library}
    try:
        samples, said = measure(allocators, options.rounds)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except subprocess.CalledProcessError as error:
        sys.exit(f"demo.py: {error.cmd[0]} ended with {error.returncode}")
    print(f"Medians of {options.rounds} interleaved rounds; in brackets: divided by {BASELINE}'s.")
    print_table(f"redis-server under redis-benchmark ({REDIS_TESTS})", "requests/s",
                samples["redis"])
    print_table("sqlite3 with 300 000 rows in memory", "time", samples["sqlite"])
    print_disturbances(samples)
    print(f"\nWhat MEMPOOL_STATS=1 says of the last redis run on {OURS}:\n\n{said}", end="")
    if options.json:
        plain = {workload: {name: [dataclasses.asdict(sample) for sample in runs]
                            for name, runs in by_allocator.items()}
                 for workload, by_allocator in samples.items()}
        options.json.write_text(json.dumps(plain, indent=1) + "\n")


if __name__ == "__main__":
    main()
