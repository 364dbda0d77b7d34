"""Which run comes when, and whether something else was busy during it."""

import os
import platform
import resource
import time
from dataclasses import replace

from .process import Failure
from .results import Run

REPEATS_MAX = 2
# Ticks of /proc/stat are 10 ms: less than this cannot be told from their rounding.
OTHERS_SECONDS_MIN = 0.05
PAUSE_SECONDS = 0.5


def schedule(workloads, allocators, rounds):
    """Round by round, so that a slow minute of the machine meets all; each goes first in turn."""
    for number in range(rounds):
        for index, workload in enumerate(workloads):
            first = (number + index) % len(allocators)
            for allocator in allocators[first:] + allocators[:first]:
                yield number, workload, allocator


class OthersMeter:
    """The CPU time that the rest of the machine used since the meter was made."""

    def __init__(self):
        self._start = time.monotonic()
        self._machine = machine_busy_seconds()
        self._ours = our_cpu_seconds()

    def share(self):
        """In CPUs: 0.1 is a tenth of one. None where the system does not tell."""
        machine = machine_busy_seconds()
        if machine is None or self._machine is None:
            return None
        others = machine - self._machine - (our_cpu_seconds() - self._ours)
        if others < OTHERS_SECONDS_MIN:
            return 0.0
        return others / max(time.monotonic() - self._start, 1e-3)


def machine_busy_seconds(stat="/proc/stat"):
    """All time that the CPUs were not idle, what the host took from them included."""
    try:
        with open(stat, encoding="ascii") as file:
            words = file.readline().split()
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(word) for word in words[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def our_cpu_seconds():
    """This process and all of its descendants that have ended and were waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def measure(workload, allocator, number, bench, others_share_max):
    """One run, repeated while it is disturbed; of several, the least disturbed one."""
    best = None
    for attempt in range(1, REPEATS_MAX + 2):
        if attempt > 1:
            time.sleep(PAUSE_SECONDS)
        meter = OthersMeter()
        try:
            sample = workload.run(bench, allocator.environment())
        except (Failure, OSError) as failure:
            return Run(workload.name, allocator.name, number, error=str(failure))
        others = meter.share()
        run = Run(
            workload.name,
            allocator.name,
            number,
            sample.usage.seconds,
            sample.usage.cpu_seconds,
            sample.usage.peak_rss_kib,
            sample.usage.minor_faults,
            sample.operations,
            sample.checksum,
            sample.details,
            others,
            disturbed=others is not None and others > others_share_max,
        )
        if best is None or run.others_share < best.others_share:
            best = run
        best = replace(best, attempts=attempt)
        if not run.disturbed:
            break
    return best


def describe_machine():
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [
                line.split(":", 1)[1].strip() for line in file if line.startswith("model name")
            ]
        model = names[0] if names else model
    except OSError:
        pass
    return {
        "cpu": model,
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
    }
