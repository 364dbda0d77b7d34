"""The report that elasticpool writes at exit, for a run of its own after the measurement."""

from dataclasses import replace

from .allocators import OURS
from .process import Failure


def print_reports(bench, workloads, allocators):
    ours = next((allocator for allocator in allocators if allocator.name == OURS), None)
    if ours is None:
        print(f"{OURS} was not measured: no statistics")
        return
    for workload in workloads:
        file = bench.scratch / f"stats-{workload.name}"
        chatty = replace(ours, settings=("MEMPOOL_STATS=1", f"MEMPOOL_STATS_FILE={file}"))
        try:
            workload.run(bench, chatty.environment())
            report = file.read_text(encoding="utf-8").rstrip()
        except (Failure, OSError) as problem:
            report = f"no statistics: {problem}"
        print(f"\nMEMPOOL_STATS=1 of {workload.name}:\n{report}")
