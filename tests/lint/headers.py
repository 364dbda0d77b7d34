#!/usr/bin/env python3
"""Each header of lib/ compiles alone, and twice; what users include compiles as C, too."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from source import Problem, Tree, add_tree_arguments, report

WARNINGS = ["-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
CXX = ["g++", "-std=c++20", "-fno-exceptions", "-fno-rtti", *WARNINGS]
C = ["gcc", "-std=c11", "-pedantic", *WARNINGS]
USERS = "lib/include/"
ERROR = re.compile(r"^(.+?):(\d+):(?:\d+:)? (?:fatal )?error: (.*)", re.MULTILINE)
# More of them do not finish sooner beside the rest of the suite.
JOBS = min(2, len(os.sched_getaffinity(0)))


def write_units(folder, headers, suffix):
    """One file per header that includes nothing but it; their names."""
    units = {}
    for number, header in enumerate(headers):
        name = os.path.join(folder, f"{number}{suffix}")
        with open(name, "w") as file:
            file.write(f'#include "{header.removeprefix("lib/")}"\n' * 2)
        units[name] = header
    return units


def compile_units(tree, command, units, includes):
    """One compiler per job, with all its files at once."""
    includes = [f"-I{folder}" for folder in (tree.root / "lib", tree.root / USERS, *includes)]
    names = list(units)

    def work(first):
        batch = names[first::JOBS]
        result = subprocess.run(command + includes + batch, capture_output=True, text=True)
        if result.returncode and not problems(tree, units, result.stderr):
            return [Problem(units[batch[0]], 1, result.stderr.strip())]
        return problems(tree, units, result.stderr)

    with ThreadPoolExecutor(JOBS) as pool:
        for found in pool.map(work, range(min(JOBS, len(names)))):
            yield from found


def problems(tree, units, output):
    found = []
    for path, line, text in ERROR.findall(output):
        place = units.get(path) or os.path.relpath(path, tree.root)
        found.append(Problem(place, int(line), text))
    return found


def check(tree, includes=()):
    headers = tree.files(("lib",), (".h", ".hpp"))
    with tempfile.TemporaryDirectory() as folder:
        yield from compile_units(tree, CXX, write_units(folder, headers, ".cc"), includes)
        for_users = [h for h in headers if h.startswith(USERS) and h.endswith(".h")]
        yield from compile_units(tree, C, write_units(folder, for_users, ".c"), includes)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_tree_arguments(parser)
    parser.add_argument("--include", action="append", default=[], help="of generated headers")
    arguments = parser.parse_args()
    sys.exit(report(check(Tree(arguments.root, arguments.files), arguments.include)))


if __name__ == "__main__":
    main()
