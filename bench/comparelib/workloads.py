"""What is measured: programs of bench/workloads/, and real servers."""

from .allocators import Unknown
from .programs import PROGRAMS
from .redis_server import REDIS
from .workload import Bench, Program, Sample

__all__ = ["CATALOG", "Bench", "Program", "Sample", "parse_list"]

CATALOG = [
    *REDIS,
    Program(
        "sqlite", "a database in memory: insert, index, sort, join, update, delete", ("sqlite",)
    ),
    Program("sqlite2", "the same on two threads", ("sqlite", "--threads=2")),
    Program("sqlite4", "the same on four threads", ("sqlite", "--threads=4")),
    Program("sqlite_disk", "the same in a file", ("sqlite", "--file={scratch}/sqlite-disk")),
    *PROGRAMS,
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


def parse_list(text):
    """'all' or names, in the order in which they are to be shown."""
    by_name = {workload.name: workload for workload in CATALOG}
    names = list(by_name) if text == "all" else [name.strip() for name in text.split(",")]
    for name in names:
        if name not in by_name:
            raise Unknown(f'workload {name!r}: unknown; there are all, {", ".join(by_name)}')
        if names.count(name) > 1:
            raise Unknown(f"workload {name}: named twice")
    return [by_name[name] for name in names]
