"""The command line of bench/compare."""

import argparse
from pathlib import Path

from . import allocators
from .results import CPU_TIME, MEMORY, THROUGHPUT, TIME

QUICK_PERCENT = 2
FIGURES = {"time": TIME, "cpu": CPU_TIME, "throughput": THROUGHPUT, "memory": MEMORY}


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
        help="names, and groups of them: all, basic, patterns (default: all)")
    add("--rounds", metavar="N", type=positive, default=5, help="runs of each (default: 5)")
    add("--baseline", metavar="NAME", default="jemalloc",
        help="what ratios are to (default: jemalloc; the first one where it is not listed)")
    add("--figures", metavar="LIST", type=figures, default="time,memory",
        help="which of time, cpu, throughput, memory are shown (default: %(default)s)")
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
    add("--list", action="store_true", help="names allocators and workloads, and ends")
    # fmt: on
    return parser.parse_args()
