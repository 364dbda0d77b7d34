#!/usr/bin/env python3
"""Shell scripts parse, and shellcheck (where it is installed) finds nothing in them."""

import re
import shutil
import subprocess

from source import Problem, run

FOLDERS = (".ci", "scripts", "bench", "tools", "tests")
SHELLS = ("bash", "sh")


def parse(tree, path, shell):
    result = subprocess.run([shell, "-n", path], cwd=tree.root, capture_output=True, text=True)
    for line in result.stderr.splitlines():
        match = re.search(r": (?:line )?(\d+): (.*)", line)
        yield Problem(path, int(match[1]) if match else 1, match[2] if match else line)


def shellcheck(tree, paths):
    command = ["shellcheck", "--format=gcc", "--severity=info", *paths]
    result = subprocess.run(command, cwd=tree.root, capture_output=True, text=True)
    for path, line, text in re.findall(r"^(.+?):(\d+):\d+: (.*)", result.stdout, re.MULTILINE):
        yield Problem(path, int(line), text)


def check(tree):
    scripts = {path: tree.script_language(path) for path in tree.files(FOLDERS, "")}
    scripts = {path: shell for path, shell in scripts.items() if shell in SHELLS}
    broken = [problem for path, shell in scripts.items() for problem in parse(tree, path, shell)]
    yield from broken
    if scripts and not broken and shutil.which("shellcheck"):
        yield from shellcheck(tree, scripts)


if __name__ == "__main__":
    run(check)
