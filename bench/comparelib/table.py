"""Results as text: one table per figure, a row per workload, a column per allocator."""

from .results import CPU_TIME, FAULTS, MEMORY, THROUGHPUT, TIME

TITLES = {
    TIME: "Time (median; ratio to {baseline}, lower is better)",
    CPU_TIME: "CPU time (median; ratio to {baseline}, lower is better)",
    THROUGHPUT: "Throughput (operations a second; ratio to {baseline}, higher is better)",
    MEMORY: "Peak memory (RSS, median; ratio to {baseline}, lower is better)",
    FAULTS: "Page faults (minor ones, median; ratio to {baseline}, lower is better)",
}
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


def format_table(results, kind):
    """Lines, without a newline at the end."""
    rows = [["", *results.allocators]]
    for workload in results.workloads:
        rows.append(
            [
                workload,
                *(
                    format_cell(results, workload, allocator, kind)
                    for allocator in results.allocators
                ),
            ]
        )
    rows.append(
        [
            "geometric mean",
            *(format_mean(results, allocator, kind) for allocator in results.allocators),
        ]
    )
    # The names end where the ratios end: one column before the place of the mark.
    rows[0][1:] = [name + " " for name in rows[0][1:]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [TITLES[kind].format(baseline=results.baseline)]
    for number, row in enumerate(rows):
        cells = [text.rjust(width + GAP) for text, width in zip(row[1:], widths[1:])]
        if number in (1, len(rows) - 1):
            lines.append("-" * (widths[0] + sum(widths[1:]) + GAP * len(cells)))
        lines.append((row[0].ljust(widths[0]) + "".join(cells)).rstrip())
    return lines


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
    return lines
