#!/usr/bin/python3
"""Adds up Meson test runs: the ends of the failed tests' logs, and one line with the count.

    test_summary.py TITLE:CODE:TESTLOG...

CODE is what `meson test` ended with, TESTLOG its testlog.json. The CODE "build" stands for a build
that failed, and counts as one failure.
"""

import collections
import json
import pathlib
import sys

TAIL_LINES = 40
GTEST_PROGRESS = ("[ RUN      ]", "[       OK ]", "[------", "[======")
OUTCOMES = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}  # every other one: failed


def tests_of(log: str) -> list[dict]:
    path = pathlib.Path(log)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def said_by(test: dict) -> list[str]:
    lines = (test.get("stdout", "") + test.get("stderr", "")).splitlines()
    return [line for line in lines if not line.startswith(GTEST_PROGRESS)]


def report(title: str, test: dict) -> str:
    """Prints what a person wants to know of one test; returns its outcome."""
    outcome = OUTCOMES.get(test["result"], "failed")
    if outcome == "skipped":
        print(f"skipped ({title}): {test['name']}: {(said_by(test) or ['no reason given'])[-1]}")
    if outcome == "failed":
        print(f"\nFAILED ({title}): {test['name']}: {test['result']}, exit {test['returncode']}")
        for line in said_by(test)[-TAIL_LINES:]:
            print(f"    {line}")
    return outcome


def main() -> int:
    total = collections.Counter()
    for argument in sys.argv[1:]:
        title, code, log = argument.split(":", 2)
        if code == "build":
            print(f"\nFAILED ({title}): the build")
            total["failed"] += 1
            continue
        count = collections.Counter(report(title, test) for test in tests_of(log))
        # A runner that ends badly, or ran nothing, must not pass for one that found no fault.
        if not count["failed"] and (code != "0" or not count):
            print(f"\nFAILED ({title}): meson test ended with {code} after {count.total()} tests")
            count["failed"] += 1
        total += count
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
