#!/usr/bin/python3
"""python3: some of its own regression tests; each case must end as it does without the library.

    python.py LIBRARY MODULE...

A module written as malloc:MODULE runs with PYTHONMALLOC=malloc, which sends every object to malloc.
Debian packages these tests without those of sqlite3: python_sqlite3.py stands in for them.
"""

import pathlib
import sys
import xml.etree.ElementTree

import harness

PYTHON = "python3.11"
RESULTS = "results.xml"


def endings(side: harness.Side, module: str, allocator: str) -> bytes:
    """Runs a module; returns one line per case: its name and how it ended."""
    outcome = side.run([PYTHON, "-m", "test", "--junit-xml", RESULTS, module],
                       environment={"PYTHONMALLOC": allocator})
    report = side.directory / RESULTS
    if not report.exists():
        raise harness.Failure(f"{module} ({side.name}) ends with {outcome.code}:\n"
                              f"{harness.tail(outcome.output + outcome.errors)}")
    cases = xml.etree.ElementTree.parse(report).iter("testcase")
    lines = sorted(f"{case.get('name')} {' '.join([case.get('result'), *(e.tag for e in case)])}"
                   for case in cases)
    return "\n".join([*lines, f"exit code {outcome.code}"]).encode()


def body(trial: harness.Harness) -> None:
    trial.need(PYTHON)
    if not pathlib.Path(f"/usr/lib/{PYTHON}/test/test_dict.py").exists():
        raise harness.Skip("libpython3.11-testsuite is not installed")
    for argument in sys.argv[2:]:
        allocator, _, module = argument.rpartition(":")
        plain, preloaded = trial.both(lambda side: endings(side, module, allocator or "default"))
        harness.compare_lines(f"{argument}: list of cases", plain, preloaded)
        if b" completed" not in plain or not plain.endswith(b"exit code 0"):
            raise harness.Failure(f"{argument}: fails without it too:\n{harness.tail(plain)}")


if __name__ == "__main__":
    harness.main(body)
