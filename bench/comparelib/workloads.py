"""What is measured: programs of bench/workloads/, and real servers."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from . import patterns
from .allocators import Missing, Unknown
from .process import Failure, Launched, Usage, parse_words
from .redis_server import run_redis

RUN_SECONDS_MAX = 600


@dataclass(frozen=True)
class Bench:
    """Where things lie and how much is done."""

    programs: Path
    scratch: Path
    scale_percent: int = 100

    def launcher(self):
        return str(self.programs / "launch")


@dataclass(frozen=True)
class Sample:
    """What one run gave. The checksum has to be the same under every allocator."""

    usage: Usage
    operations: int
    checksum: str = ""
    details: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """A program of ours: all its work counts, from start to end."""

    name: str
    about: str
    argv: tuple

    def check(self, bench):
        if not (bench.programs / self.argv[0]).is_file():
            raise Missing(f"workload {self.name}: {bench.programs / self.argv[0]} is not built")

    def run(self, bench, settings):
        argv = [
            str(bench.programs / self.argv[0]),
            *self.argv[1:],
            f"--scale={bench.scale_percent}",
        ]
        with Launched(bench.launcher(), settings, argv) as launched:
            usage = launched.wait(RUN_SECONDS_MAX)
            words = parse_words(launched.output())
        if "checksum" not in words or "operations" not in words:
            raise Failure(f"{self.name}: printed no checksum")
        checksum, operations = words.pop("checksum"), int(words.pop("operations"))
        details = {name: int(value) for name, value in words.items() if value.isdigit()}
        return Sample(usage, operations, checksum, details)


@dataclass(frozen=True)
class Redis:
    """redis-server under redis-benchmark: the clients' time, the server's memory."""

    name: str
    about: str

    def check(self, bench):
        del bench
        for tool in ("redis-server", "redis-benchmark", "redis-cli"):
            if shutil.which(tool) is None:
                raise Missing(
                    f"workload {self.name}: {tool} is not installed "
                    "(Debian packages redis-server, redis-tools)"
                )

    def run(self, bench, settings):
        return Sample(*run_redis(bench, settings))


BASIC = [
    Redis("redis", "redis-server: 200 000 keys, then redis-benchmark, pipelined and not"),
    Program(
        "sqlite", "a database in memory: insert, index, sort, join, update, delete", ("sqlite",)
    ),
    Program("sqlite2", "the same on two threads", ("sqlite", "--threads=2")),
    Program("mixed", "sizes as programs ask for them, random lifetimes, one thread", ("mixed",)),
    Program("mixed2", "the same on two threads", ("mixed", "--threads=2")),
    Program("crossfree", "one thread allocates, another frees; one way, then both", ("crossfree",)),
    Program(
        "threadchurn", "threads die and hand their blocks over", ("threadchurn", "--threads=2")
    ),
    Program("tree", "C++ maps, strings, vectors, lists", ("tree",)),
    Program("lifo", "one small size, last in, first out", ("lifo",)),
    Program("medium", "64 KiB to 1 MiB come and go", ("large", "medium")),
    Program("huge", "1 MiB to 64 MiB come and go", ("large", "huge")),
    Program("grow", "buffers that grow through realloc", ("large", "grow")),
    Program("fragment", "fill, free all but every 16th, fill with other sizes", ("fragment",)),
]
PATTERNS = [Program(*row) for row in patterns.rows()]
CATALOG = [*BASIC, *PATTERNS]
GROUPS = {"all": CATALOG, "basic": BASIC, "patterns": PATTERNS}


def parse_list(text):
    """Names of workloads and of groups, in the order in which they are to be shown."""
    groups = {**GROUPS, **{workload.name: [workload] for workload in CATALOG}}
    chosen = []
    for name in (name.strip() for name in text.split(",")):
        if name not in groups:
            known = ", ".join(GROUPS)
            raise Unknown(f"workload {name!r}: unknown; there are {known}, and those of --list")
        for workload in groups[name]:
            if workload in chosen:
                raise Unknown(f"workload {workload.name}: named twice")
            chosen.append(workload)
    return chosen
