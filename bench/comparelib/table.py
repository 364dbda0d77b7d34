"""Results as text: one table per figure, a row per workload, a column per allocator."""

from . import peers
from .results import CPU_TIME, FAULTS, MEMORY, THROUGHPUT, TIME

TITLES = {
    TIME: "Time (median; ratio to {baseline}, lower is better)",
    CPU_TIME: "CPU time (median; ratio to {baseline}, lower is better)",
    THROUGHPUT: "Throughput (operations a second; ratio to {baseline}, higher is better)",
    MEMORY: "Peak memory (RSS, median; ratio to {baseline}, lower is better)",
    FAULTS: "Page faults (minor ones, median; ratio to {baseline}, lower is better)",
}
# What is held against the best peer, and what the best one is called.
BEST = {TIME: ("time", "fastest"), MEMORY: ("memory", "leanest")}
GAP = 3


def format_seconds(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def format_kib(kib):
    if kib < 1024:
        return f"{kib:.0f} KiB"
    return f"{kib / 1024:.1f} MiB" if kib < 1024 * 1000 else f"{kib / 1024 / 1024:.2f} GiB"


def format_count(count):
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.3g} "


def format_rate(rate):
    return f"{format_count(rate)}/s"


FORMATS = {
    TIME: format_seconds,
    CPU_TIME: format_seconds,
    MEMORY: format_kib,
    THROUGHPUT: format_rate,
    FAULTS: format_count,
}


def format_cell(results, workload, allocator, kind):
    cell = results.cells.get((workload, allocator))
    if cell is None:
        return "-"
    figure = getattr(cell, kind)
    if figure is None:
        return "failed" if cell.error else "-"
    share = results.ratio(workload, allocator, kind)
    mark = "*" if cell.disturbed_runs else " "
    return f'{FORMATS[kind](figure)}{"" if share is None else f"{share:7.2f}"}{mark}'


def format_mean(results, allocator, kind):
    mean = results.mean(allocator, kind)
    if mean is None:
        return "-"
    count, most = len(results.ratios(allocator, kind)), len(results.workloads)
    partly = "" if count == most else f"({count} of {most}) "
    return f"{partly}{mean:.2f} "


def format_shared_mean(results, allocator, kind):
    mean = results.shared_mean(allocator, kind)
    return "- " if mean is None else f"{mean:.2f} "


def format_standing(results, ours, kind, workload):
    place = peers.standing(results, ours, kind, workload)
    if place is None:
        return "- "
    return f'{place.peer} {place.ratio:6.2f}{"!" if peers.is_behind(place, kind) else " "}'


def lay_out(rows, feet=1):
    """The head, the rows and as many feet as lines, with rules between; all right but the names."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [text.rjust(width + GAP) for text, width in zip(row[1:], widths[1:])]
        if number in (1, len(rows) - feet):
            lines.append("-" * (widths[0] + sum(widths[1:]) + GAP * len(cells)))
        lines.append((row[0].ljust(widths[0]) + "".join(cells)).rstrip())
    return lines


def format_table(results, kind):
    """Lines, without a newline at the end."""
    ours = results.ours if kind in BEST and peers.has_peers(results) else []
    # The names end where the ratios end: one column before the place of the mark.
    rows = [["", *(f"{name} " for name in results.allocators)]]
    rows[0] += [f"{name} / best peer " for name in ours]
    for workload in results.workloads:
        row = [format_cell(results, workload, name, kind) for name in results.allocators]
        row += [format_standing(results, name, kind, workload) for name in ours]
        rows.append([workload, *row])
    feet = {"geometric mean": format_mean}
    shared, most = len(results.shared_workloads(kind)), len(results.workloads)
    # Where nobody failed, this would say the same again.
    if shared < most:
        feet[f"over the {shared} of {most} that all got through"] = format_shared_mean
    for about, format_foot in feet.items():
        means = [format_foot(results, name, kind) for name in results.allocators]
        rows.append([about, *means, *("" for _ in ours)])
    return [TITLES[kind].format(baseline=results.baseline), *lay_out(rows, len(feet))]


def format_standings(results, kinds):
    """Where ours is behind the best peer of a row, and how it is against the best mean."""
    lines, means = [], []
    for ours in results.ours if peers.has_peers(results) else []:
        for kind in kinds:
            if kind not in BEST:
                continue
            name, best = BEST[kind]
            behind = [
                f"{workload} ({place.ratio:.2f} {place.peer})"
                for workload, place in peers.rows_behind(results, ours, kind)
            ]
            lines.append(
                f"! rows behind: {ours}, {name}, over {peers.BEHIND[kind]:.2f} x the best peer: "
                f'{", ".join(behind) or "none"}'
            )
            place = peers.mean_standing(results, ours, kind)
            rows = f"{len(results.shared_workloads(kind))} of {len(results.workloads)} rows"
            outcome = "no row that all got through"
            if place is not None:
                outcome = f"{place.ratio:.2f} ({place.peer}, over {rows})"
            means.append(f"{ours} / {best} peer's mean {name}: {outcome}")
    return lines + means


def format_all(results, kinds):
    lines = []
    for kind in kinds:
        lines += [*format_table(results, kind), ""]
    disturbed = sum(cell.disturbed_runs for cell in results.cells.values())
    if disturbed:
        lines.append(
            f"* disturbed: something else used the CPUs during {disturbed} of "
            f"{len(results.runs)} runs, even when repeated"
        )
    return lines + format_standings(results, kinds)
