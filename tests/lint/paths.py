#!/usr/bin/env python3
"""No file knows the machine it was written on, and no promise is without an owner.

Refused in every file that git knows: absolute paths below a home or work folder, hosts of package
registries and mirrors (packages come through apt as the machine has it set up), and a mark of work
to do that names nobody: write it with the owner in parentheses.
"""

import re

from source import Problem, run

# Written so that they do not match themselves.
MACHINE = re.compile(r"(?<![\w.)}$-])/(?:home/\w|(?:root|work|Users)\b(?![\w-]))")
REGISTRY = re.compile(
    r"\b(?:pypi\.org|pythonhosted\.org|registry\.npmjs\.org|crates\.io|rubygems\.org"
    r"|proxy\.golang\.org|(?:deb|snapshot|security)\.debian\.org|archive\.ubuntu\.com"
    r"|docker\.io|ghcr\.io|quay\.io)\b"
)
REFUSED = {"a path of one machine": MACHINE, "the host of a package registry": REGISTRY}
UNOWNED = re.compile(r"\b(?:[T]ODO|[F]IXME)\b(?!\([a-z][\w.-]*\))")
PROSE = (".md",)


def check(tree):
    for path in tree.tracked():
        data = (tree.root / path).read_bytes()
        if b"\0" in data:
            continue
        for number, line in enumerate(data.decode(errors="replace").split("\n"), 1):
            for what, pattern in REFUSED.items():
                if match := pattern.search(line):
                    yield Problem(path, number, f"{what}: {match[0]}")
            if not path.endswith(PROSE) and (match := UNOWNED.search(line)):
                yield Problem(path, number, f"{match[0]} without an owner: {match[0]}(name)")


if __name__ == "__main__":
    run(check)
