"""What elasticpool did in one run, from its report at exit: a row of a table. Pure.

The figures are of the process with the most requests: a compiler's driver and a shell around a
program say nothing.
"""

import json
from dataclasses import asdict, dataclass

from .results import ratio
from .table import format_count, format_kib, lay_out

# Below this a row is marked.
SERVED_MIN, USED_MIN = 0.95, 0.90
# Below this a figure says more about the C library's start than about the program.
REQUESTS_MIN = 10_000
CLASSES_NAMED = 3
HEAD = [
    "", "requests", "by magazine ", "slabs at peak", "used", "most used ", "cached", "faults",
    "peak RSS",
]  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Shares are of 1; None where there is nothing to divide by."""

    workload: str
    processes: int
    requests: int
    small_requests: int  # up to 32 KiB
    served: float | None  # of those, by the magazine
    slab_kib: int  # what slabs took at their peak
    used: float | None  # of that, live blocks in the sizes of their classes
    # Of that, the most that was live at any time while slabs grew. This is the one that is marked:
    # where most was freed at random before, the last slab decides in which moment the peak lies.
    most_used: float | None
    cached: float | None  # of that, in magazines
    minor_faults: int
    peak_rss_kib: int
    missing_classes: list  # [size, share of all requests that a magazine missed]


class NoReport(Exception):
    """The text is one line for a person."""


def from_reports(workload, texts):
    try:
        reports = [json.loads(text) for text in texts]
        report = max(reports, key=lambda report: report["requested"]["blocks"])
        return _row(workload, len(reports), report)
    except (ValueError, KeyError, TypeError) as problem:
        # No process ended by exit(), or the library is an older one.
        raise NoReport(f"{workload}: no report with these figures ({problem!r})") from None


def _row(workload, processes, report):
    magazine, peak = report["tiers"]["magazine"], report["tiers"]["slab"]["peak"]
    return Row(
        workload,
        processes,
        report["requested"]["blocks"],
        magazine["requests"],
        ratio(magazine["served"], magazine["requests"]),
        peak["mapped_bytes"] // 1024,
        ratio(peak["live_bytes"], peak["mapped_bytes"]),
        ratio(peak["most_live_bytes"], peak["mapped_bytes"]),
        ratio(peak["cached_bytes"], peak["mapped_bytes"]),
        report["page_faults"]["minor"],
        report["peak_resident_bytes"] // 1024,
        missing_classes(report["classes"]),
    )


def missing_classes(classes):
    """The classes that miss most; each with its share of the misses of all."""
    missed = {row["size"]: row["requests"] - row["served_by_magazine"] for row in classes}
    total = sum(missed.values())
    most = sorted(missed, key=missed.get, reverse=True)[:CLASSES_NAMED]
    return [[size, missed[size] / total] for size in most if missed[size]]


def is_low(value, least):
    return value is not None and value < least


def format_share(value):
    return "-" if value is None else f"{value * 100:.1f} %"


def format_row(row):
    return [
        row.workload,
        format_count(row.requests).rstrip(),
        format_share(row.served) + ("!" if is_low(row.served, SERVED_MIN) else " "),
        format_kib(row.slab_kib),
        format_share(row.used),
        format_share(row.most_used) + ("!" if is_low(row.most_used, USED_MIN) else " "),
        format_share(row.cached),
        format_count(row.minor_faults).rstrip(),
        format_kib(row.peak_rss_kib),
    ]


def format_all(rows):
    """The table, and below it the marked rows: those that use the magazines, or the slabs, least
    come first."""
    lines = lay_out([HEAD, *(format_row(row) for row in rows)], feet=0)
    served = [row for row in rows if is_low(row.served, SERVED_MIN)]
    used = [row for row in rows if is_low(row.most_used, USED_MIN)]
    lines += ["", f"! under {SERVED_MIN:.0%} by magazine: {_count(served)}"]
    for row in sorted(served, key=lambda row: row.served):
        classes = ", ".join(f"{size} bytes {share:.0%}" for size, share in row.missing_classes)
        few = " (few requests)" if row.small_requests < REQUESTS_MIN else ""
        lines.append(f"    {row.workload} {format_share(row.served)}{few}: misses of {classes}")
    lines += [f"! under {USED_MIN:.0%} of slabs used at their peak: {_count(used)}"]
    for row in sorted(used, key=lambda row: row.most_used):
        free = row.slab_kib * (1 - row.used - row.cached)
        lines.append(
            f"    {row.workload} {format_share(row.most_used)}: {format_kib(free)} free in slabs, "
            f"{format_kib(row.slab_kib * row.cached)} in magazines at the peak"
        )
    return lines


def _count(rows):
    return {0: "none", 1: "1 row"}.get(len(rows), f"{len(rows)} rows")


def as_json(rows):
    return {"rows": [asdict(row) for row in rows]}
