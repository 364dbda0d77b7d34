#!/usr/bin/env python3
"""Every memory order stronger than relaxed names its partner.

In lib/ and preload/ a comment `order[tag]` stands beside each acquire, release, acq_rel or seq_cst:
on a line of the statement, or in the comment directly above it. A tag occurs at two places or more,
so that each end can be found from the other. An atomic operation says its order: the default,
seq_cst, is neither free nor, mostly, meant.
"""

import re
from collections import defaultdict

from source import Problem, run

STRONG = re.compile(
    r"\bmemory_order(?:_|::)(?:acquire|release|acq_rel|seq_cst|consume)\b"
    r"|\b__ATOMIC_(?:ACQUIRE|RELEASE|ACQ_REL|SEQ_CST|CONSUME)\b"
)
TAG = re.compile(r"\border\[([\w-]+)\]")
# Members of std::atomic, and the builtins that are seq_cst always.
OPERATION = re.compile(
    r"(?:\.|->)(?:load|store|exchange|compare_exchange_(?:weak|strong)|fetch_(?:add|sub|and|or|xor)"
    r"|test_and_set)\s*\(|\b__sync_\w+\s*\("
)


def arguments(code, start):
    """The text of a call's arguments, from behind the opening parenthesis at start - 1."""
    depth = 1
    for end in range(start, len(code)):
        depth += {"(": 1, ")": -1}.get(code[end], 0)
        if depth == 0:
            return code[start:end]
    return code[start:]


def ends_statement(line):
    line = line.strip()
    return not line or line[0] == "#" or line[-1] in ";{}:"


def statement(code, index):
    """First and last line (from 0) of the statement that the line at `index` belongs to."""
    first = last = index
    while first > 0 and not ends_statement(code[first - 1]):
        first -= 1
    while last + 1 < len(code) and not ends_statement(code[last]):
        last += 1
    return first, last


def has_tag(code, comments, index):
    first, last = statement(code, index)
    while first > 0 and comments[first - 1].strip() and not code[first - 1].strip():
        first -= 1
    return any(TAG.search(line) for line in comments[first : last + 1])


def check_file(path, source):
    code, comments = source.code.split("\n"), source.comments.split("\n")
    for index, line in enumerate(code):
        if STRONG.search(line) and not has_tag(code, comments, index):
            yield Problem(path, index + 1, "a memory order without `order[tag]` beside or above it")
    for match in OPERATION.finditer(source.code):
        if "order" not in arguments(source.code, match.end()):
            line = source.line_of(match.start())
            yield Problem(path, line, "an atomic operation that does not say its order")


def check(tree):
    places = defaultdict(list)
    for path in tree.all_files(("lib", "preload")):
        for number, line in enumerate(tree.source(path).comments.split("\n"), 1):
            for tag in TAG.findall(line):
                places[tag].append((path, number))
    for tag, where in places.items():
        if len(set(where)) < 2:
            yield Problem(*where[0], f"order[{tag}] has no partner")
    for path in tree.files(("lib", "preload")):
        yield from check_file(path, tree.source(path))


if __name__ == "__main__":
    run(check)
