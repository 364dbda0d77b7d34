"""From runs to medians, ratios and geometric means. Pure: no file, no clock, no process."""

import math
from dataclasses import asdict, dataclass, field

# The figures that are compared, as the fields of a cell.
TIME, CPU_TIME = "seconds", "cpu_seconds"
MEMORY, THROUGHPUT = "peak_rss_kib", "operations_per_second"
FAULTS = "minor_faults"


@dataclass(frozen=True)
class Run:
    """One run as it is kept in the JSON file."""

    workload: str
    allocator: str
    round: int
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_rss_kib: int = 0
    minor_faults: int = 0
    operations: int = 0
    checksum: str = ""
    details: dict = field(default_factory=dict)
    others_share: float | None = None
    attempts: int = 1
    disturbed: bool = False
    error: str = ""


@dataclass(frozen=True)
class Cell:
    """All runs of one workload under one allocator."""

    seconds: float | None
    cpu_seconds: float | None
    peak_rss_kib: float | None
    minor_faults: float | None
    operations_per_second: float | None
    runs: int
    disturbed_runs: int
    error: str


def median(values):
    ordered = sorted(values)
    if not ordered:
        raise ValueError("the median of nothing")
    middle = len(ordered) // 2
    if len(ordered) % 2 == 1:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def ratio(value, base):
    """None where one of the two is missing or nothing can be divided by it."""
    return None if value is None or not base else value / base


def geometric_mean(values):
    values = list(values)
    if not values or min(values) <= 0:
        return None
    return math.exp(math.fsum(math.log(value) for value in values) / len(values))


class Results:
    """Cells of workload x allocator, and their ratios to the baseline."""

    def __init__(self, runs, workloads, allocators, baseline, ours=()):
        self.runs = runs
        self.baseline = baseline
        # Those of the allocators that are not peers but builds of this project.
        self.ours = ours
        self.allocators = allocators
        self.cells = {}
        for workload in workloads:
            for allocator in allocators:
                cell = self._cell(workload, allocator)
                if cell is not None:
                    self.cells[workload, allocator] = cell
        # An interrupted comparison shows what it reached.
        self.workloads = [
            workload
            for workload in workloads
            if any((workload, allocator) in self.cells for allocator in allocators)
        ]

    def _cell(self, workload, allocator):
        runs = [run for run in self.runs if (run.workload, run.allocator) == (workload, allocator)]
        if not runs:
            return None
        errors = [run.error for run in runs if run.error]
        disturbed = sum(run.disturbed for run in runs)
        if errors:
            return Cell(*[None] * 5, len(runs), disturbed, errors[0])
        medians = {
            kind: median(getattr(run, kind) for run in runs)
            for kind in (TIME, CPU_TIME, MEMORY, FAULTS)
        }
        rate = ratio(runs[0].operations, medians[TIME])
        return Cell(
            **medians,
            operations_per_second=rate,
            runs=len(runs),
            disturbed_runs=disturbed,
            error="",
        )

    def figure(self, workload, allocator, kind):
        cell = self.cells.get((workload, allocator))
        return None if cell is None else getattr(cell, kind)

    def ratio(self, workload, allocator, kind):
        return ratio(
            self.figure(workload, allocator, kind), self.figure(workload, self.baseline, kind)
        )

    def ratios(self, allocator, kind):
        """Over the workloads that both this allocator and the baseline got through."""
        all_ratios = (self.ratio(workload, allocator, kind) for workload in self.workloads)
        return [value for value in all_ratios if value is not None]

    def mean(self, allocator, kind):
        return geometric_mean(self.ratios(allocator, kind))

    def shared_workloads(self, kind):
        """Those that all allocators got through: only over them are means of two comparable."""
        return [
            workload
            for workload in self.workloads
            if all(self.ratio(workload, name, kind) is not None for name in self.allocators)
        ]

    def shared_mean(self, allocator, kind):
        rows = self.shared_workloads(kind)
        return geometric_mean(self.ratio(workload, allocator, kind) for workload in rows)

    def failures(self):
        """One line for each run that failed and each checksum that is not the first one's."""
        lines, first = [], {}
        for run in self.runs:
            who = f"{run.workload} under {run.allocator}, round {run.round + 1}"
            if run.error:
                lines.append(f"{who}: {run.error}")
                continue
            other = first.setdefault(run.workload, run)
            if run.checksum != other.checksum:
                lines.append(
                    f"{who}: wrong result: checksum {run.checksum}, "
                    f"but {other.checksum} under {other.allocator}"
                )
        return lines

    def as_json(self):
        kinds = {
            "time_ratio": TIME,
            "cpu_ratio": CPU_TIME,
            "rss_ratio": MEMORY,
            "faults_ratio": FAULTS,
        }
        results, means, shared_means = {}, {}, {}
        for (workload, allocator), cell in self.cells.items():
            ratios = {name: self.ratio(workload, allocator, kind) for name, kind in kinds.items()}
            results.setdefault(workload, {})[allocator] = {**asdict(cell), **ratios}
        for allocator in self.allocators:
            means[allocator] = {name: self.mean(allocator, kind) for name, kind in kinds.items()}
            means[allocator]["workloads"] = len(self.ratios(allocator, TIME))
            shared_means[allocator] = {
                name: self.shared_mean(allocator, kind) for name, kind in kinds.items()
            }
        return {
            "baseline": self.baseline,
            "results": results,
            "geometric_means": means,
            "shared_workloads": self.shared_workloads(TIME),
            "shared_geometric_means": shared_means,
            "failures": self.failures(),
            "runs": [asdict(run) for run in self.runs],
        }
