"""Two comparisons side by side: how the ratios to the baseline moved. Pure.

Times of two days cannot be compared, their ratios to the same baseline can.
"""

from .results import MEMORY, TIME, geometric_mean, ratio
from .table import lay_out

TITLES = {
    TIME: "Time: new / old of the ratio to {baseline}, lower is better",
    MEMORY: "Peak memory: new / old of the ratio to {baseline}, lower is better",
}
# Up to this, two runs of the same differ as well.
NOTICED = {TIME: 1.03, MEMORY: 1.02}


def shared(old, new):
    """-> (workloads, allocators but the baseline) that both have."""
    workloads = [name for name in new.workloads if name in old.workloads]
    allocators = [
        name for name in new.allocators if name in old.allocators and name != new.baseline
    ]
    return workloads, allocators


def other_work(old, new, workload):
    """Whether the program was changed in between: it does other work, whatever it takes."""
    done = [
        {(run.operations, run.checksum) for run in results.runs if run.workload == workload}
        - {(0, "")}
        for results in (old, new)
    ]
    return bool(done[0] and done[1]) and not done[0] & done[1]


def change(old, new, workload, allocator, kind):
    return ratio(new.ratio(workload, allocator, kind), old.ratio(workload, allocator, kind))


def mark(value, kind):
    if value > NOTICED[kind]:
        return "!"
    return "+" if value < 1 / NOTICED[kind] else " "


def format_change(value, kind):
    return "- " if value is None else f"{value:.3f}{mark(value, kind)}"


def format_table(old, new, workloads, allocators, kind):
    rows = [["", *(f"{name} " for name in allocators)]]
    means = []
    for workload in workloads:
        values = [change(old, new, workload, name, kind) for name in allocators]
        rows.append([workload, *(format_change(value, kind) for value in values)])
    for name in allocators:
        values = [change(old, new, workload, name, kind) for workload in workloads]
        values = [value for value in values if value is not None]
        partly = "" if len(values) == len(workloads) else f"({len(values)} of {len(workloads)}) "
        mean = geometric_mean(values)
        means.append("- " if mean is None else f"{partly}{mean:.3f} ")
    rows.append(["geometric mean", *means])
    return [TITLES[kind].format(baseline=new.baseline), *lay_out(rows)]


def format_all(old, new):
    """Lines; none where the two have nothing in common."""
    workloads, allocators = shared(old, new)
    changed = [workload for workload in workloads if other_work(old, new, workload)]
    workloads = [workload for workload in workloads if workload not in changed]
    lines = []
    if workloads and allocators:
        for kind in TITLES:
            lines += [*format_table(old, new, workloads, allocators, kind), ""]
        lines.append(
            f"! worse, + better, by more than {NOTICED[TIME] - 1:.0%} of time "
            f"or {NOTICED[MEMORY] - 1:.0%} of memory"
        )
    if changed:
        lines.append(f'left out, as they do other work now: {", ".join(changed)}')
    return lines
