#!/usr/bin/env python3
"""The instructions that one warm malloc and one warm free take, exactly, against a golden file.

usage: icount.py [--update] PROGRAM LIBRARY GOLDEN

PROGRAM (icount.cc) runs under callgrind with LIBRARY preloaded, once with N pairs of calls and
once with 2N: the difference divided by N is free of start-up and of first times. Counted is the
function with all that it calls, without the call instruction and the jump through the PLT: so a
figure stays true whatever the function's symbol is, and whatever is moved into a helper.

A figure above its golden is a longer fast path; one below it is good news, to be kept by --update.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

PAIRS = 10000
SKIPPED = 77


def call_costs(program, library, pairs):
    """{"malloc_64": instructions of all calls made from counted_malloc_64, ...} of one run."""
    with tempfile.NamedTemporaryFile(prefix="icount-") as profile:
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no",
             f"--callgrind-out-file={profile.name}", program, str(pairs)],
            env={**os.environ, "LD_PRELOAD": library}, stderr=subprocess.PIPE, timeout=280)
        if run.returncode != 0:
            sys.exit(f"{program} fails under valgrind with {library}:\n{run.stderr.decode()}")
        lines = profile.read().decode(errors="replace").splitlines()
    return sum_of_calls(lines)


def sum_of_calls(lines):
    """Adds up the inclusive costs of calls, each the last number after its calls= line."""
    costs, caller, follows_calls = {}, "", False
    for line in lines:
        if line.startswith("fn="):
            caller = line[3:]
        elif follows_calls and caller.startswith("counted_"):
            name = caller[len("counted_"):]
            costs[name] = costs.get(name, 0) + int(line.split()[-1])
        follows_calls = line.startswith("calls=")
    return costs


def measure(program, library):
    """{"malloc(64)": instructions of one call, ...}"""
    once, twice = (call_costs(program, library, pairs) for pairs in (PAIRS, 2 * PAIRS))
    shown = {name: re.sub(r"_(\d+)$", r"(\1)", name) for name in once}
    # A whole number, but for a rare refill: such a figure keeps its fraction, and is seen.
    each = {name: (twice[name] - once[name]) / PAIRS for name in sorted(once)}
    return {shown[name]: f"{figure:.2f}".removesuffix(".00") for name, figure in each.items()}


def read_golden(path):
    with open(path, encoding="utf-8") as lines:
        pairs = (line.split("#")[0].split() for line in lines)
        return dict(pair for pair in pairs if pair)


def write_golden(path, figures):
    with open(path, "w", encoding="utf-8") as golden:
        golden.write("# Instructions of a warm call with its callees (callgrind; g++, release).\n")
        golden.write("# icount.py compares; `icount.py --update` rewrites.\n")
        golden.writelines(f"{name} {figure}\n" for name, figure in figures.items())


def differences(figures, golden):
    for name in sorted(golden.keys() | figures.keys()):
        seen, kept = figures.get(name), golden.get(name)
        if seen is None or kept is None:
            yield f"{name}: golden {kept}, measured {seen}: run icount.py --update"
        elif float(seen) > float(kept):
            yield f"{name}: {seen} instructions, golden {kept}: the fast path became longer"
        elif float(seen) < float(kept):
            yield f"{name}: {seen} instructions, golden {kept}: shorter, run icount.py --update"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write what is measured into GOLDEN")
    parser.add_argument("program")
    parser.add_argument("library")
    parser.add_argument("golden")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed")
        return SKIPPED

    figures = measure(options.program, os.path.abspath(options.library))
    for name, figure in figures.items():
        print(f"{name} {figure}")
    if options.update:
        write_golden(options.golden, figures)
        return 0
    wrong = list(differences(figures, read_golden(options.golden)))
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
