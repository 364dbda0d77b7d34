#!/usr/bin/env python3
"""clang-tidy finds nothing in lib/, preload/ and tools/, as .clang-tidy at the root sets it up.

Checks what the build compiles: `tidy.py ROOT --build BUILD`, where BUILD has compile_commands.json.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from source import Problem, Tree, add_tree_arguments, report, skip

FOLDERS = ("lib", "preload", "tools")
COMPLAINT = re.compile(r"^(\S.*?):(\d+):\d+: (?:fatal )?(?:error|warning): (.*)", re.MULTILINE)
JOBS = min(2, len(os.sched_getaffinity(0)))


def compiled(tree, build):
    """What the build compiles of the sources asked about, each with its compiler's folder."""
    with open(build / "compile_commands.json") as file:
        entries = json.load(file)
    folders = {os.path.realpath(Path(e["directory"], e["file"])): e["directory"] for e in entries}
    paths = [path for path in tree.files(FOLDERS) if str(tree.root / path) in folders]
    # The largest first, so that neither job waits long for the other.
    paths.sort(key=lambda path: -(tree.root / path).stat().st_size)
    return [(path, folders[str(tree.root / path)]) for path in paths]


def tidy(tree, build, path, folder):
    command = ["clang-tidy", "--quiet", "-p", build, tree.root / path]
    result = subprocess.run(command, cwd=tree.root, capture_output=True, text=True)
    found = [
        Problem(os.path.relpath(os.path.realpath(Path(folder, place)), tree.root), int(line), text)
        for place, line, text in COMPLAINT.findall(result.stdout)
    ]
    if result.returncode and not found:
        found.append(Problem(path, 1, (result.stdout + result.stderr).strip()))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_tree_arguments(parser)
    parser.add_argument("--build", required=True, type=Path)
    arguments = parser.parse_args()
    if not shutil.which("clang-tidy"):
        skip("no clang-tidy")
    tree = Tree(arguments.root, arguments.files)
    sources = compiled(tree, arguments.build)
    with ThreadPoolExecutor(JOBS) as pool:
        found = pool.map(lambda source: tidy(tree, arguments.build, *source), sources)
        problems = [problem for some in found for problem in some]
    print(f"{len(sources)} sources looked at")
    sys.exit(report(problems))


if __name__ == "__main__":
    main()
