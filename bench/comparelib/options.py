"""The command line of bench/compare."""

import argparse
from pathlib import Path

from . import allocators
from .results import CPU_TIME, FAULTS, MEMORY, THROUGHPUT, TIME

QUICK_PERCENT = 2
BASELINE = "jemalloc"
FIGURES = {
    "time": TIME,
    "cpu": CPU_TIME,
    "throughput": THROUGHPUT,
    "memory": MEMORY,
    "faults": FAULTS,
}


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"bench/compare: {message} (--help tells more)\n")


def figures(text):
    """'time,memory' -> the fields of a cell"""
    names = text.split(",")
    for name in names:
        if name not in FIGURES or names.count(name) > 1:
            raise argparse.ArgumentTypeError(f"{text}: a list of {', '.join(FIGURES)} is wanted")
    return [FIGURES[name] for name in names]


def names(text):
    return [name.strip() for name in text.split(",")]


def positive(text):
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text}: a number from 1 up is wanted")
    return int(text)


def parse(root):
    parser = Parser(
        prog="bench/compare",
        description="Runs workloads under several allocators, interleaved; shows medians, ratios "
        "and geometric means of time and peak memory.",
    )
    add = parser.add_argument
    # fmt: off
    add("--allocators", metavar="LIST", default=",".join(allocators.DEFAULT),
        help="names or NAME=library.so (default: %(default)s)")
    add("--workloads", metavar="LIST", default="all",
        help="names, and groups of them: all, real, basic, patterns; giveback and survival, which "
        "all is without (default: all)")
    add("--rounds", metavar="N", type=positive, default=5, help="runs of each (default: 5)")
    add("--baseline", metavar="NAME",
        help=f"what ratios are to (default: {BASELINE}, the first one where it is not listed; of "
        "files, theirs)")
    add("--ours", metavar="LIST", default=[], type=names,
        help=f"allocators that are no peers besides {allocators.OURS}, and every other name that "
        "begins so")
    add("--set", metavar="NAME:VARIABLE=VALUE", action="append", default=[],
        help="an environment variable for the runs of one allocator; may be repeated")
    add("--figures", metavar="LIST", type=figures, default="time,memory",
        help=f"which of {', '.join(FIGURES)} are shown (default: %(default)s)")
    add("--build", metavar="DIR", type=Path, default=root / "build",
        help="where Meson built (default: build)")
    add("--elasticpool", metavar="PATH",
        help="the library (default: preload/libelasticpool.so in --build)")
    add("--out", metavar="DIR", type=Path,
        help="compare.json, compare.png and compare.svg are written there")
    add("--json", metavar="FILE", type=Path, help="the results are written there")
    add("--stats", action="store_true",
        help="at the end each workload runs once more under elasticpool with MEMPOOL_STATS=1, and "
        "its report is printed")
    add("--disturbance", metavar="PERCENT", type=positive, default=5,
        help="a run is repeated when others use more than this of one CPU (default: 5)")
    add("--quick", action="store_true",
        help=f"{QUICK_PERCENT} %% of the work: a trial, no measurement")
    add("--scale", metavar="PERCENT", type=positive, default=100,
        help="how much work the workloads do, for machines with little memory (default: 100)")
    add("--list", action="store_true", help="names allocators and workloads, and ends")
    files = parser.add_mutually_exclusive_group()
    add = files.add_argument
    add("--merge", metavar="FILE", nargs="+",
        help="measures nothing: the runs of these JSON files, shown as one comparison")
    add("--diff", metavar=("OLD", "NEW"), nargs=2,
        help="measures nothing: how the ratios of NEW differ from those of OLD, both JSON files")
    # fmt: on
    return parser.parse_args()
