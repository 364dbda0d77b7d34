"""What is measured: real programs, programs of bench/workloads/, and groups of them."""

from . import giveback, patterns, survival
from .allocators import Unknown
from .programs import PROGRAMS
from .redis_server import REDIS
from .workload import Bench, Program, Sample

__all__ = [
    "CATALOG",
    "EVERY",
    "GROUPS",
    "UNTIMED_NAMES",
    "Bench",
    "Program",
    "Sample",
    "parse_list",
]

REAL = [
    *REDIS,
    Program(
        "sqlite", "a database in memory: insert, index, sort, join, update, delete", ("sqlite",)
    ),
    Program("sqlite2", "the same on two threads", ("sqlite", "--threads=2")),
    Program("sqlite4", "the same on four threads", ("sqlite", "--threads=4")),
    Program("sqlite_disk", "the same in a file", ("sqlite", "--file={scratch}/sqlite-disk")),
    *PROGRAMS,
]
BASIC = [
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
CATALOG = [*REAL, *BASIC, *PATTERNS]
# "all" is what is timed: what is looked at otherwise is asked for by name.
GROUPS = {
    "all": CATALOG,
    "real": REAL,
    "basic": BASIC,
    "patterns": PATTERNS,
    "giveback": giveback.ROWS,
    "survival": survival.ROWS,
}
UNTIMED = [*giveback.ROWS, *survival.ROWS]
UNTIMED_NAMES = [workload.name for workload in UNTIMED]
EVERY = [*CATALOG, *UNTIMED]


def parse_list(text):
    """Names of workloads and of groups, in the order in which they are to be shown."""
    groups = {**GROUPS, **{workload.name: [workload] for workload in EVERY}}
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
