"""The reports that elasticpool writes at exit, for runs of their own beside the measurement."""

import tempfile
from dataclasses import replace
from pathlib import Path

from .allocators import OURS
from .process import Failure


def run_with_reports(bench, workload, ours, mode):
    """-> the reports of all processes of one run; a server or a compiler has several."""
    with tempfile.TemporaryDirectory(prefix="stats-", dir=bench.scratch) as folder:
        settings = (f"MEMPOOL_STATS={mode}", f"MEMPOOL_STATS_FILE={folder}/%p")
        workload.run(bench, replace(ours, settings=settings).environment())
        return [file.read_text(encoding="utf-8") for file in sorted(Path(folder).iterdir())]


def print_reports(bench, workloads, allocators):
    ours = next((allocator for allocator in allocators if allocator.name == OURS), None)
    if ours is None:
        print(f"{OURS} was not measured: no statistics")
        return
    for workload in workloads:
        try:
            text = "\n".join(run_with_reports(bench, workload, ours, "on")).rstrip()
        except (Failure, OSError) as problem:
            text = f"no statistics: {problem}"
        print(f"\nMEMPOOL_STATS=1 of {workload.name}:\n{text}")
