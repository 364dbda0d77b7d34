#!/usr/bin/env python3
"""Each checker passes a small good tree, and fails on that tree with one thing wrong in it.

    selftest.py ROOT

takes LAYERS, .clang-format and .clang-tidy from ROOT, so that these are tested too.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import selftest_trees as trees

HERE = Path(__file__).resolve().parent
SETTINGS = ("lib/LAYERS", ".clang-format", ".clang-tidy")
JOBS = min(2, len(os.sched_getaffinity(0)))


class Outcome(NamedTuple):
    case: str
    complaint: str


def write(folder, files):
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def git(folder, *arguments):
    # A hook runs with git's own variables set, which name another repository.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    command = ["git", "-C", folder, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def plant(root, folder, changes):
    """The good tree with these changes, known to git and with a compilation database."""
    write(folder, {path: (root / path).read_text() for path in SETTINGS})
    write(folder, trees.GOOD)
    write(folder, changes)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    entries = [
        {
            "directory": str(folder / ".build"),
            "file": f"../{path.relative_to(folder)}",
            "command": f"g++ -std=c++20 -I../lib -c ../{path.relative_to(folder)}",
        }
        for path in sorted((folder / "lib").rglob("*.cc"))
    ]
    write(folder, {".build/compile_commands.json": json.dumps(entries)})


def run_checker(folder, checker, *arguments):
    command = [sys.executable, "-B", HERE / f"{checker}.py", folder, *arguments]
    if checker == "tidy":
        command += ["--build", folder / ".build"]
    return subprocess.run(command, capture_output=True, text=True)


def judge(name, result, status, expected=""):
    """`expected` is a part of one line of the output, as a pattern."""
    found = not expected or re.search(expected, result.stdout, re.MULTILINE)
    if result.returncode == status and found:
        return Outcome(name, "")
    wanted = f"exit {status} and a line like {expected!r}" if expected else f"exit {status}"
    said = (result.stdout + result.stderr).strip()
    return Outcome(name, f"wanted {wanted}; got exit {result.returncode} and:\n{said}")


def run_case(root, case):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        plant(root, folder, case.changes)
        result = run_checker(folder, case.checker, *case.arguments)
        status = 1 if case.expected else 0
        return judge(f"{case.checker}: {case.name}", result, status, case.expected)


def run_hook(root, name, staged, unstaged, status):
    """The hook sees what is staged, and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        plant(root, folder, {})
        shutil.copytree(HERE, folder / "tests/lint", ignore=shutil.ignore_patterns("__pycache__"))
        write(folder, staged)
        git(folder, "add", "-A")
        write(folder, unstaged)
        hook = root / "scripts/hooks/pre-commit"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        result = subprocess.run(
            [hook], cwd=folder, env=environment, capture_output=True, text=True
        )
        return judge(f"hook: {name}", result, status, "order_tags|order\\[" if status else "")


def outside_git(root):
    """Without git's list two checkers cannot work, and say so."""
    for checker in ("layout", "paths"):
        with tempfile.TemporaryDirectory() as folder:
            plant(root, Path(folder), {})
            shutil.rmtree(Path(folder) / ".git")
            yield judge(f"{checker}: no git", run_checker(folder, checker), 77, "^skipped: ")


def main():
    root = Path(sys.argv[1]).resolve()
    with ThreadPoolExecutor(JOBS) as pool:
        outcomes = list(pool.map(lambda case: run_case(root, case), trees.CASES))
    outcomes += outside_git(root)
    outcomes.append(run_hook(root, "good", {}, trees.LONELY_TAG, 0))
    outcomes.append(run_hook(root, "bad", trees.LONELY_TAG, trees.GOOD, 1))
    failures = [outcome for outcome in outcomes if outcome.complaint]
    for failure in failures:
        print(f"{failure.case}: {failure.complaint}\n")
    print(f"{len(outcomes) - len(failures)} of {len(outcomes)} cases as expected")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
