#!/usr/bin/env python3
"""The statistics at exit against a program that knows what it holds.

Usage: stress_stats.py PROGRAM. The program runs twice with one seed, once keeping blocks and once
freeing all: the reports must differ by exactly the kept blocks, class by class, and every total
must be the sum of its parts.
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


def run(program, mode, seed, folder):
    environment = dict(os.environ, MEMPOOL_STATS="json",
                       MEMPOOL_STATS_FILE=os.path.join(folder, mode + "-%p"))
    done = subprocess.run([program, mode, str(seed)], env=environment, check=False,
                          stdout=subprocess.PIPE, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"{program} {mode} {seed}: status {done.returncode}")
    names = [name for name in os.listdir(folder) if name.startswith(mode)]
    if len(names) != 1:
        sys.exit(f"{mode}: {len(names)} reports, not one")
    with open(os.path.join(folder, names[0]), encoding="utf-8") as file:
        return json.load(file), done.stdout


def sum_errors(report):
    tiers, classes = report["tiers"], report["classes"]
    total = lambda key: sum(row[key] for row in classes)
    live_bytes = sum(row["live"] * row["size"] for row in classes)
    three = [tiers[name] for name in ("slab", "buddy", "large")]
    pairs = {
        "requests of magazines": (tiers["magazine"]["requests"], total("requests")),
        "cached blocks": (tiers["magazine"]["cached_blocks"], total("cached")),
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


def main():
    program = sys.argv[1]
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.getrandbits(48)
    print("seed", seed)
    with tempfile.TemporaryDirectory() as folder:
        some, kept_text = run(program, "some", seed, folder)
        none, _ = run(program, "none", seed, folder)
    errors = ["some: " + error for error in sum_errors(some)]
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
