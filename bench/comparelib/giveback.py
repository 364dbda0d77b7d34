"""What stays resident when a process has nothing to do: the group `giveback` and its own table.

Its programs sleep, and what they need at most says nothing of what they keep: their times and peaks
are in no mean, and "all" is without them. What counts is in the words that they print.
"""

from dataclasses import dataclass

from .results import median
from .table import format_kib, lay_out
from .workload import Program, run_scaled


@dataclass(frozen=True)
class Figure:
    """One line of the table, from one word of the program, and what is demanded of it: at most
    so many times what is live, and so many KiB more."""

    about: str
    word: str
    times_live: float = 0.0
    plus_kib: int = 0
    of_live: bool = False


@dataclass(frozen=True)
class Faults:
    """The same for page faults, which the program counts for a GiB."""

    about: str
    word: str
    per_mib_max: float | None = None


@dataclass(frozen=True)
class GiveBack(Program):
    """wait_ms: how long the process is idle before it is looked at, or between two cycles."""

    wait_ms: int = 0
    figures: tuple = ()

    def run(self, bench, settings):
        wait_ms = self.wait_ms * bench.waits_percent // 100
        argv = [str(bench.programs / self.argv[0]), *self.argv[1:], f"--wait={wait_ms}"]
        return run_scaled(self.name, bench, settings, argv)


IDLE = (
    Figure("after 3 s", "rss_kib", plus_kib=20 << 10),
    Figure("after malloc_trim(0)", "trimmed_kib", plus_kib=10 << 10),
)
# A process of one thread has nobody who could give back for it: it is asked at once as well.
IN_RUNS = (
    Figure("at once", "freed_kib", 2.0, of_live=True),
    Figure("after 10 s", "rss_kib", 2.0, of_live=True),
)
IN_RUNS_THREADS = (
    Figure("at once", "freed_kib", of_live=True),
    Figure("after 10 s", "rss_kib", 1.3, 8 << 10, of_live=True),
)
AT_RANDOM = (
    Figure("at once", "freed_kib", of_live=True),
    Figure("after 10 s", "rss_kib", 1.5, of_live=True),
)
SAWTOOTH = (
    Faults("faults/MiB at first", "first_faults_per_gib"),
    Faults("later", "mean_faults_per_gib", 5),
    Faults("later, worst cycle", "worst_faults_per_gib"),
)


def _burst(mode, threads):
    return ("giveback/burst", mode, f"--threads={threads}")


def _sawtooth(name, wait_ms, pause):
    about = f"256 MiB come and go on two threads, with {pause} in between"
    argv = ("giveback/sawtooth_pause", "--threads=2")
    return GiveBack(name, about, argv, wait_ms, SAWTOOTH)


ROWS = [
    GiveBack("idle", "173 MiB are freed, then nothing", ("giveback/idle",), 3000, IDLE),
    GiveBack("idle3", "the same on three threads that stay alive",
             ("giveback/idle", "--threads=3"), 3000, IDLE),
    GiveBack("burst-runs", "of 2 GiB 95 % are freed in runs", _burst("runs", 1), 10000, IN_RUNS),
    GiveBack("burst-runs4", "the same on four threads", _burst("runs", 4), 10000, IN_RUNS_THREADS),
    GiveBack("burst-random", "the same, freed at random", _burst("random", 1), 10000, AT_RANDOM),
    GiveBack("burst-random4", "the same on four threads", _burst("random", 4), 10000, AT_RANDOM),
    _sawtooth("sawtooth-0s", 0, "no pause"),
    _sawtooth("sawtooth-300ms", 300, "pauses of 0.3 s"),
    _sawtooth("sawtooth-3s", 3000, "pauses of 3 s"),
]  # fmt: skip
NAMES = [row.name for row in ROWS]
TITLE = (
    "Giving back (resident when idle, median; x: of the pages that still hold something; "
    "! over the bound)"
)


def format_table(runs, allocators):
    """Lines; none where no run is of this group."""
    lines = []
    for row in ROWS:
        mine = [run for run in runs if run.workload == row.name]
        for figure in row.figures if mine else ():
            cells = [_format_cell(mine, name, figure) for name in allocators]
            lines.append([f"{row.name}, {figure.about}", *cells])
    if not lines:
        return []
    head = ["", *(f"{name} " for name in allocators)]
    return [TITLE, *lay_out([head, *lines], feet=0), ""]


def _format_cell(runs, allocator, figure):
    runs = [run for run in runs if run.allocator == allocator]
    if any(run.error for run in runs):
        return "failed "
    values = [run.details[figure.word] for run in runs if figure.word in run.details]
    if not values:
        return "- "
    value = median(values)
    if isinstance(figure, Faults):
        return format_faults(value, figure)
    return format_memory(value, median(run.details.get("live_kib", 0) for run in runs), figure)


def format_faults(per_gib, figure):
    over = figure.per_mib_max is not None and per_gib > figure.per_mib_max * 1024
    return f'{per_gib / 1024:.1f}{"!" if over else " "}'


def format_memory(kib, live_kib, figure):
    bound_kib = figure.times_live * live_kib + figure.plus_kib
    times = f"{kib / live_kib:7.2f}x" if figure.of_live and live_kib else ""
    return f'{format_kib(kib)}{times}{"!" if 0 < bound_kib < kib else " "}'
