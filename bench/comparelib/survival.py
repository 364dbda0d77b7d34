"""Who survives in a memory group: the group `survival` and its own table.

The programs are those of tests/pressure/, run by its in_group, which makes a group with a limit and
says whether the kernel killed what was in it. That is a result and no failure; times mean nothing
where a run may end at any point, so they are in no mean, and "all" is without these rows.
"""

from dataclasses import dataclass

from .allocators import Missing
from .process import Failure, Launched, Usage, parse_words
from .results import median
from .table import lay_out
from .workload import RUN_SECONDS_MAX, Program, Sample

LIMIT = "1.4G"


@dataclass(frozen=True)
class Survival(Program):
    """argv: the program without its folder, and its arguments. peak_mib_max: what we demand."""

    peak_mib_max: float = 0

    def _folder(self, bench):
        return bench.programs.parent.parent / "tests" / "pressure"

    def check(self, bench):
        for name in ("in_group", self.argv[0]):
            if not (self._folder(bench) / name).is_file():
                raise Missing(f"workload {self.name}: {self._folder(bench) / name} is not built")

    def run(self, bench, settings):
        program = [str(self._folder(bench) / self.argv[0]), *self.argv[1:]]
        # The allocator is the program's alone: in_group runs on libc's.
        argv = [str(self._folder(bench) / "in_group"), "--limit", LIMIT, *settings, *program]
        with Launched(bench.launcher(), [], argv) as launched:
            if not launched.ends_within(RUN_SECONDS_MAX):
                raise Failure(f"{self.name}: did not end within {RUN_SECONDS_MAX} s")
            words = parse_words(launched.output())
            if "survived" not in words:
                # It says why: no group can be made here.
                launched.wait(RUN_SECONDS_MAX)
                raise Failure(f"{self.name}: in_group said nothing")
        if words["survived"] != "1" and words["oom_kills"] == "0":
            raise Failure(f"{self.name}: ended badly, and not by the kernel: {words}")
        details = {name: int(value) for name, value in words.items() if value.isdigit()}
        peak_kib = details["peak_bytes"] >> 10
        return Sample(Usage(details["took_ms"] / 1000, 0.0, peak_kib, 0), 0, "", details)


def _phase(name, about, *arguments):
    return Survival(f"phase-{name}", about, ("pressure_phase_change", *arguments), 1330)


# An allocator without the functions has nobody who could tell the cache.
def _cache(name, about, rate):
    argv = ("pressure_listening_cache", rate, "where-it-can")
    return Survival(f"cache-{name}", about, argv, 0.92 * 1.4 * 1024)


ROWS = [
    _phase("all", "1.1 GiB of small blocks, all freed; then 1 GiB of large ones", "all"),
    _phase("runs", "the same, 95 % freed in runs", "runs"),
    _phase("runs-8m", "the same, no large block over 8 MiB", "runs", "8"),
    _phase("random-99", "the same, 99 % freed at random", "random-99"),
    _phase("random-95", "the same, 95 % freed at random: too few pages are empty", "random-95"),
    _cache("100", "a cache of 800 MiB that listens, and 1 GiB more at 100 MB/s", "100"),
    _cache("400", "the same at 400 MB/s", "400"),
    _cache("1600", "the same at 1600 MB/s", "1600"),
    _cache("unthrottled", "the same as fast as it can", "0"),
]
NAMES = [row.name for row in ROWS]
TITLE = (
    f"Survival in a group of {LIMIT}iB (how often of how many; peak, median of the survivors; "
    "! killed or over the bound)"
)


def format_table(runs, allocators):
    """Lines; none where no run is of this group."""
    lines = []
    for row in ROWS:
        mine = [run for run in runs if run.workload == row.name]
        if mine:
            lines.append([row.name, *(_format_cell(mine, name, row) for name in allocators)])
    if not lines:
        return []
    head = ["", *(f"{name} " for name in allocators)]
    return [TITLE, *lay_out([head, *lines], feet=0), ""]


def _format_cell(runs, allocator, row):
    runs = [run for run in runs if run.allocator == allocator]
    if any(run.error for run in runs):
        return "failed "
    if not runs:
        return "- "
    peaks_mib = [run.details["peak_bytes"] / (1 << 20) for run in runs if run.details["survived"]]
    peak = f", {median(peaks_mib):.0f} MiB" if peaks_mib else ""
    is_good = len(peaks_mib) == len(runs) and max(peaks_mib) <= row.peak_mib_max
    return f'{len(peaks_mib)} of {len(runs)}{peak}{" " if is_good else "!"}'
