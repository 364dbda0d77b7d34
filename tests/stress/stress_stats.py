#!/usr/bin/env python3
"""The statistics at exit against a program that knows what it holds.

Usage: stress_stats.py PROGRAM [SEED]. The program runs twice with one seed, once keeping blocks and
once freeing all: the reports must differ by exactly the kept blocks, class by class, and every
total must be the sum of its parts. Then it forks: at rest, the child's report must tell of the same
requests and live bytes as its parent's, and of all blocks in the lost threads' caches; at work, the
totals must be the sums of their parts all the same, and no figure absurd.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter

SLAB_BYTES_MAX = 32 * 1024
BUDDY_BYTES_MAX = 1024 * 1024


def run_all(program, mode, seed, folder):
    """The reports of the program and of its children, and what it printed."""
    # What libc allocates for the helper thread is live too, and nobody here holds it.
    environment = dict(os.environ, MEMPOOL_STATS="json", MEMPOOL_HELPER="off",
                       MEMPOOL_STATS_FILE=os.path.join(folder, mode + "-%p"))
    done = subprocess.run([program, mode, str(seed)], env=environment, check=False,
                          stdout=subprocess.PIPE, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"{program} {mode} {seed}: status {done.returncode}")
    reports = []
    for name in os.listdir(folder):
        if name.startswith(mode):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                reports.append(json.load(file))
    return reports, done.stdout


def run(program, mode, seed, folder):
    reports, text = run_all(program, mode, seed, folder)
    if len(reports) != 1:
        sys.exit(f"{mode}: {len(reports)} reports, not one")
    return reports[0], text


def sum_errors(report):
    tiers, classes = report["tiers"], report["classes"]
    total = lambda key: sum(row[key] for row in classes)
    live_bytes = sum(row["live"] * row["size"] for row in classes)
    lost_blocks = total("lost") + tiers["buddy"]["lost_blocks"]
    three = [tiers[name] for name in ("slab", "buddy", "large")]
    pairs = {
        "requests of magazines": (tiers["magazine"]["requests"], total("requests")),
        "cached blocks": (tiers["magazine"]["cached_blocks"], total("cached")),
        "lost blocks": (report["lost_in_fork"]["blocks"], lost_blocks),
        "live blocks of slabs": (tiers["slab"]["live_blocks"], total("live")),
        "live bytes of slabs": (tiers["slab"]["live_bytes"], live_bytes),
        "live blocks": (report["live"]["blocks"], sum(tier["live_blocks"] for tier in three)),
        "live bytes": (report["live"]["bytes"], sum(tier["live_bytes"] for tier in three)),
        "requests": (report["requested"]["blocks"], sum(tier["requests"] for tier in three)),
    }
    return [f"{name}: {whole} is not {parts}" for name, (whole, parts) in pairs.items()
            if whole != parts]


def live_counts(report):
    counts = Counter({row["size"]: row["live"] for row in report["classes"]})
    counts["buddy"] = report["tiers"]["buddy"]["live_blocks"]
    counts["large"] = report["tiers"]["large"]["live_blocks"]
    return counts


def kept_counts(text):
    counts = Counter()
    for line in text.splitlines():
        usable, count = map(int, line.split())
        above = "buddy" if usable <= BUDDY_BYTES_MAX else "large"
        tier = usable if usable <= SLAB_BYTES_MAX else above
        counts[tier] += count
    return counts


def fork_errors(program, seed, folder):
    reports, figures = run_all(program, "fork", seed, folder)
    if len(reports) != 2:
        return [f"{len(reports)} reports, not one of the parent and one of the child"]
    # The child ends before its parent's threads do.
    child, parent = sorted(reports, key=lambda report: report["lost_in_fork"]["threads"],
                           reverse=True)
    used_bytes, cached_bytes = map(int, figures.split())
    lost, kept = child["lost_in_fork"], child["tiers"]["magazine"]
    errors = sum_errors(child)
    if child["live"]["bytes"] != used_bytes:
        errors.append(f"{child['live']['bytes']} live bytes, {used_bytes} before")
    kept_bytes = kept["cached_bytes"] + child["tiers"]["buddy"]["cached_bytes"]
    if lost["bytes"] + kept_bytes != cached_bytes:
        errors.append(f"{lost} lost and {kept} kept, {cached_bytes} cached bytes before")
    if lost["bytes"] == 0 or parent["lost_in_fork"]["threads"] != 0:
        errors.append(f"lost: {lost} in the child, {parent['lost_in_fork']} in the parent")
    if child["requested"] != parent["requested"]:
        errors.append(f"requests: {child['requested']}, of the parent {parent['requested']}")
    requests = [[(row["size"], row["requests"]) for row in report["classes"]]
                for report in (child, parent)]
    if requests[0] != requests[1]:
        errors.append("the classes' requests are not the parent's")
    return errors


def busy_errors(program, seed, folder):
    reports, _ = run_all(program, "busy", seed, folder)
    errors = []
    for report in reports:
        errors += sum_errors(report)
        if report["live"]["bytes"] > report["mapped_bytes"]:
            errors.append(f"{report['live']['bytes']} live in {report['mapped_bytes']} mapped")
        for row in report["classes"]:
            if (row["live"] + row["cached"] + row["lost"]) * row["size"] > row["slab_bytes"]:
                errors.append(f"more blocks than slabs have: {row}")
    return errors


def main():
    program = sys.argv[1]
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.getrandbits(48)
    print("seed", seed)
    with tempfile.TemporaryDirectory() as folder:
        some, kept_text = run(program, "some", seed, folder)
        none, _ = run(program, "none", seed, folder)
        errors = ["fork: " + error for error in fork_errors(program, seed, folder)]
        errors += ["busy: " + error for error in busy_errors(program, seed, folder)]
    errors += ["some: " + error for error in sum_errors(some)]
    errors += ["none: " + error for error in sum_errors(none)]
    kept = kept_counts(kept_text)
    if not kept:
        errors.append("the program keeps nothing")
    with_blocks, without = live_counts(some), live_counts(none)
    for tier in sorted(set(with_blocks) | set(without) | set(kept), key=str):
        counted = with_blocks[tier] - without[tier]
        if counted != kept[tier]:
            errors.append(f"{tier}: {counted} live blocks counted, {kept[tier]} kept")
    print("\n".join(errors) if errors else f"{sum(kept.values())} kept blocks, all counted")
    return 1 if errors else 0


sys.exit(main())
