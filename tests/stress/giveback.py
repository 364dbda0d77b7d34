#!/usr/bin/env python3
"""What a preloaded process keeps when it is idle, and what taking it again costs.

Usage: giveback.py CASE PROGRAM, where PROGRAM is the one of bench/workloads/giveback/ that the case
names. It looks at itself until what is resident is within the bound or the patience is at its end:
a bound in memory, none in time, so that a slow machine passes as well. How long it takes, and what
other allocators do, says `bench/compare --workloads giveback`.
"""

import os
import resource
import subprocess
import sys

MIB_KIB = 1024
PATIENCE_MS = 30_000
# A thread that the machine stops for seconds looks like one that pauses.
SAWTOOTH_ATTEMPTS = 3
FAULTS_PER_MIB_MAX = 5


def run(program, *arguments, **settings):
    """-> the words that are numbers"""
    done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, text=True, timeout=300,
                          env={**os.environ, **settings}, check=False)
    if done.returncode != 0:
        sys.exit(f"{program} {' '.join(arguments)}: status {done.returncode}")
    print(program.rsplit("/", 1)[-1], *arguments, "->", done.stdout.strip(), flush=True)
    words = dict(word.split("=", 1) for word in done.stdout.split())
    return {name: int(value) for name, value in words.items() if value.isdigit()}


def wait_until(per_mille, kib):
    return f"--wait={PATIENCE_MS}", f"--until={per_mille}+{kib}"


def at_most(what, kib, bound_kib):
    return [] if kib <= bound_kib else [f"{what}: {kib} KiB, more than {bound_kib:.0f} KiB"]


def idle(program):
    words = run(program, "--threads=3", *wait_until(0, 20 * MIB_KIB))
    return (at_most("idle threads", words["rss_kib"], 20 * MIB_KIB)
            + at_most("after malloc_trim(0)", words["trimmed_kib"], 10 * MIB_KIB))


def trim(program):
    words = run(program, "--threads=3", "--wait=0", MEMPOOL_HELPER="off")
    return at_most("after malloc_trim(0)", words["trimmed_kib"], 10 * MIB_KIB)


def burst_runs_threads(program):
    words = run(program, "runs", "--threads=4", "--scale=25", *wait_until(1300, 8 * MIB_KIB))
    return at_most("resident", words["rss_kib"], 1.3 * words["live_kib"] + 8 * MIB_KIB)


def burst_random_threads(program):
    words = run(program, "random", "--threads=4", "--scale=25", *wait_until(1500, 0))
    return at_most("resident", words["rss_kib"], 1.5 * words["live_kib"])


# A process of one thread has no helper: at once, or never. What it keeps besides is a constant, so
# that only the whole 2 GiB say whether the bound holds.
def burst_runs_alone(program):
    words = run(program, "runs", "--wait=0")
    return at_most("resident at once", words["freed_kib"], 2 * words["live_kib"])


def sawtooth(program):
    for _ in range(SAWTOOTH_ATTEMPTS):
        words = run(program, "--threads=2", "--wait=0")
        per_mib = words["mean_faults_per_gib"] / 1024
        if per_mib <= FAULTS_PER_MIB_MAX:
            return []
    return [f"{per_mib:.1f} page faults per MiB and cycle, more than {FAULTS_PER_MIB_MAX}"]


# What has to be resident at some time: else nothing came that could go back.
CASES = {
    # The threads need not be full at once.
    "idle": (idle, 60 * MIB_KIB),
    "trim": (trim, 60 * MIB_KIB),
    "burst-runs-threads": (burst_runs_threads, 400 * MIB_KIB),
    "burst-random-threads": (burst_random_threads, 400 * MIB_KIB),
    "burst-runs-alone": (burst_runs_alone, 1600 * MIB_KIB),
    "sawtooth": (sawtooth, 200 * MIB_KIB),
}


def main():
    check, peak_kib_min = CASES[sys.argv[1]]
    errors = check(sys.argv[2])
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if peak_kib < peak_kib_min:
        errors.append(f"peak of {peak_kib} KiB, less than {peak_kib_min}: nothing was seen")
    print("\n".join(errors) if errors else "within the bounds")
    return 1 if errors else 0


sys.exit(main())
