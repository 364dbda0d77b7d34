#!/usr/bin/env python3
"""Who may include whom: lib/LAYERS, applied to every file of lib/ and preload/."""

import re
from typing import NamedTuple

from source import Problem, run

LAYERS = "lib/LAYERS"
# preload/ stands above lib/; it is listed in LAYERS but is no folder of lib/.
OUTSIDE = "preload"
# The only layer that malloc never calls: it may allocate.
ALLOCATING = "ring"
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include\b[ \t]*(?:"([^"\n]*)"|<([^>\n]*)>|(.*))', re.MULTILINE)
# `new T`; placement is `new (place) T`, and `operator new` is a name.
ALLOCATING_NEW = re.compile(r"(?<!operator )\bnew\b(?!\s*\()")


class Layer:
    def __init__(self):
        self.layers = {}  # name -> True when only its pure files may be included
        self.headers = []  # patterns


class Rules(NamedTuple):
    layers: dict
    every: Layer
    never: set
    problems: list


def header_pattern(word):
    return re.compile(re.escape(word[1:-1]).replace(r"\*", r"[\w-]+"))


def read_rules(text):
    rules = Rules({}, Layer(), set(), [])
    for number, line in enumerate(text.split("\n"), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        name, colon, words = line.partition(":")
        if not colon or not re.fullmatch(r"\w+", name):
            rules.problems.append(Problem(LAYERS, number, f"not `name: ...`: {line}"))
        elif name == "never":
            rules.never.update(words.split())
        else:
            layer = rules.every if name == "every" else rules.layers.setdefault(name, Layer())
            read_words(rules, layer, name, words.split(), number)
    return rules


def read_words(rules, layer, name, words, number):
    for word in words:
        if re.fullmatch(r"<[\w./*-]+>", word):
            layer.headers.append(header_pattern(word))
            continue
        below = word.removesuffix("/(pure)")
        if below not in rules.layers or below == name or layer is rules.every:
            rules.problems.append(
                Problem(LAYERS, number, f"{name} names {word}, which is no layer above this line")
            )
        layer.layers[below] = word != below


def is_pure(tree, path):
    """A file that is not there is reported by the compiler, not here."""
    if not (tree.root / path).is_file():
        return True
    return any(line.startswith("Pure:") for line in tree.source(path).opening_comment())


class File:
    """One file and the rules that hold for it."""

    def __init__(self, tree, rules, path):
        self.tree, self.rules, self.path = tree, rules, path
        parts = path.split("/")
        self.name = OUTSIDE if parts[0] == OUTSIDE else parts[1] if len(parts) > 2 else ""
        self.layer = rules.layers.get(self.name)
        self.pure = is_pure(tree, path)

    def check(self):
        if self.layer is None:
            yield Problem(self.path, 1, f"`{self.name or 'lib'}` is no layer of {LAYERS}")
            return
        source = self.tree.source(self.path)
        for match in INCLUDE.finditer(source.uncommented):
            quoted, angled, other = match.groups()
            text = self.refuse(quoted, angled, other)
            if text:
                yield Problem(self.path, source.line_of(match.start()), text)
        if self.name != ALLOCATING:
            yield from self.check_allocation(source)

    def refuse(self, quoted, angled, other):
        """Why this include is refused; None when it is not."""
        if other is not None:
            return f"cannot tell what is included: {other}"
        if angled is not None and not angled.startswith("elasticpool/"):
            return self.refuse_header(angled)
        target = quoted if quoted is not None else "include/" + angled
        if self.name == OUTSIDE and "/" not in target:
            return None
        below, slash, _ = target.partition("/")
        if not slash or below not in self.rules.layers or below == OUTSIDE:
            return f'"{target}" is not written from lib/, or its folder is no layer'
        if below != self.name and below not in self.layer.layers:
            return f"{self.name} may not include {below} ({LAYERS})"
        if below == "base":
            return None
        needs_pure = self.pure or self.layer.layers.get(below, False)
        if needs_pure and not is_pure(self.tree, "lib/" + target):
            who = "a pure file" if self.pure else self.name
            return f"{who} may include only base and pure files, and {target} is not pure"
        return None

    def refuse_header(self, name):
        headers = list(self.rules.every.headers)
        if not self.pure:
            headers += self.layer.headers
        if any(pattern.fullmatch(name) for pattern in headers):
            return None
        return f"{'a pure file' if self.pure else self.name} may not include <{name}> ({LAYERS})"

    def check_allocation(self, source):
        refused = re.compile(rf"\b({'|'.join(map(re.escape, self.rules.never)) or '(?!)'})\b")
        code = re.sub(r"^[ \t]*#[ \t]*include.*", "", source.code, flags=re.MULTILINE)
        for number, line in enumerate(code.split("\n"), 1):
            if match := refused.search(line):
                yield Problem(self.path, number, f"{match[0]} allocates ({LAYERS}, never)")
            if ALLOCATING_NEW.search(line):
                yield Problem(self.path, number, "only placement new: malloc may not call malloc")


def check(tree):
    rules = read_rules((tree.root / LAYERS).read_text())
    yield from rules.problems
    for path in tree.files(("lib", "preload")):
        yield from File(tree, rules, path).check()


if __name__ == "__main__":
    run(check)
