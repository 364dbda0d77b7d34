#!/usr/bin/env python3
"""clang-format changes nothing in lib/, preload/, tools/, tests/ and bench/."""

import re
import shutil
import subprocess

from source import Problem, run, skip

# Other versions format a little differently, and nobody can please two of them.
VERSION = 14
PLACE = re.compile(r"^(.+?):(\d+):\d+: error: code should be clang-formatted", re.MULTILINE)


def formatter():
    for name in (f"clang-format-{VERSION}", "clang-format"):
        if shutil.which(name):
            said = subprocess.run([name, "--version"], capture_output=True, text=True).stdout
            if f"version {VERSION}." in said:
                return name
    skip(f"no clang-format {VERSION}")


def check(tree):
    files = tree.files(suffixes=(".h", ".hpp", ".cc", ".cpp", ".c"))
    command = [formatter(), "--dry-run", "-Werror", "--style=file"]
    if not files:
        return
    result = subprocess.run(command + files, cwd=tree.root, capture_output=True, text=True)
    places = PLACE.findall(result.stderr)
    if result.returncode and not places:
        yield Problem(".clang-format", 1, result.stderr.strip())
    for path in {path for path, _ in places}:
        first = min(int(line) for place, line in places if place == path)
        yield Problem(path, first, f"not formatted; run clang-format -i {path}")


if __name__ == "__main__":
    run(check)
