#!/usr/bin/env python3
"""A header is a contract: each file of lib/, preload/ and tools/ begins by saying what it is.

A header of lib/ takes three lines or more (what it is; who may call it, from which thread; what
stays true; what it costs), any other file one. An exception from a check has its reason beside it.
"""

import re

from source import Problem, run

HEADER_LINES_MIN = 3
NOLINT = re.compile(r"\bNOLINT(?!END)\w*")
REASONED = re.compile(r"\bNOLINT\w*\([\w., *-]+\): *\w")


def check(tree):
    for path in tree.files(("lib", "preload", "tools")):
        lines = [line for line in tree.source(path).opening_comment() if line]
        contract = path.startswith("lib/") and path.endswith((".h", ".hpp"))
        wanted = HEADER_LINES_MIN if contract else 1
        if len(lines) < wanted:
            text = f"opens with {len(lines)} lines of comment, {wanted} at least say what it is"
            yield Problem(path, 1, text)
        for number, line in enumerate(tree.source(path).comments.split("\n"), 1):
            if NOLINT.search(line) and not REASONED.search(line):
                yield Problem(path, number, "write NOLINT(check): reason")


if __name__ == "__main__":
    run(check)
