"""What the checkers of this folder share: finding files, reading C++, reporting.

A checker is a function `check(tree)` that yields problems. `run(check)` makes a program of it:

    checker.py ROOT [--files FILE...]

prints `file:line: message` for each problem and exits 1 when there was one, 77 when it cannot work
here. With --files only these files, relative to ROOT, are looked at.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

CPP = (".h", ".hpp", ".cc", ".cpp", ".c", ".def", ".inc")
CODE_FOLDERS = ("lib", "preload", "tools", "tests", "bench")

# A comment sign in a string is none, and the apostrophe of 1'000 or the R of FOOR opens nothing.
_TOKEN = re.compile(
    r"""(?P<comment> //(?:\\\n|[^\n])* | /\*.*?\*/ )
      | (?P<string> (?:u8|[uUL])?R"(?P<mark>[^()\\\s]*)\(.*?\)(?P=mark)"
                  | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
      | [A-Za-z_]\w* | \.?\d(?:[eEpP][+-]|'?[\w.])*""",
    re.DOTALL | re.VERBOSE,
)


class Problem(NamedTuple):
    path: str
    line: int
    text: str


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


class Source:
    """One file. Its views `code`, `uncommented` and `comments` have the line numbers of `text`."""

    def __init__(self, text):
        self.text = text
        self.lines = text.split("\n")
        code, uncommented, comments = [], [], []
        end = 0
        for token in _TOKEN.finditer(text):
            if token.lastgroup is None:
                continue
            between, here = text[end : token.start()], token[0]
            end = token.end()
            hidden = _blank(here)
            comment = token.lastgroup == "comment"
            code += between, hidden if comment else here[0] + hidden[1:-1] + here[-1]
            uncommented += between, hidden if comment else here
            comments += _blank(between), here if comment else hidden
        rest = text[end:]
        self.code = "".join(code) + rest
        self.uncommented = "".join(uncommented) + rest
        self.comments = "".join(comments) + _blank(rest)

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def opening_comment(self):
        """The lines of the comment that the file begins with; none when it begins otherwise."""
        lines = []
        for comment, code in zip(self.comments.split("\n"), self.code.split("\n")):
            if code.strip() or not comment.strip():
                break
            lines.append(re.sub(r"^\s*(//+|/?\*+)\s?", "", comment).rstrip())
        return lines


class Tree:
    def __init__(self, root, only=None):
        self.root = Path(root).resolve()
        self.only = None if only is None else {os.path.normpath(path) for path in only}
        self._sources = {}

    def files(self, folders=CODE_FOLDERS, suffixes=CPP):
        """Paths, relative to the root, of the files that are asked about."""
        return [p for p in self.all_files(folders, suffixes) if self.only is None or p in self.only]

    def all_files(self, folders=CODE_FOLDERS, suffixes=CPP):
        found = []
        for folder in folders:
            for place, subfolders, names in os.walk(self.root / folder):
                subfolders[:] = sorted(s for s in subfolders if s[0] != "." and s != "__pycache__")
                relative = os.path.relpath(place, self.root)
                found += (os.path.join(relative, n) for n in sorted(names) if n.endswith(suffixes))
        return found

    def tracked(self):
        """What git knows of; just the files asked about when there are such."""
        if self.only is not None:
            return sorted(self.only)
        # A checkout that belongs to someone else is read all the same.
        command = ["git", "-C", self.root, "-c", "safe.directory=*", "ls-files", "-z"]
        try:
            listing = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        except (OSError, subprocess.CalledProcessError):
            skip("not a git checkout, or no git")
        return sorted(path for path in listing.split("\0") if path and (self.root / path).exists())

    def source(self, path):
        if path not in self._sources:
            self._sources[path] = Source((self.root / path).read_text(errors="replace"))
        return self._sources[path]

    def script_language(self, path):
        """What the first line of an executable script names: "bash", "sh", "python3", or ""."""
        with open(self.root / path, "rb") as file:
            line = file.readline(100).decode(errors="replace")
        return re.split(r"[\s/]", line.strip())[-1] if line.startswith("#!") else ""


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def add_tree_arguments(parser):
    parser.add_argument("root", help="the top of the repository")
    parser.add_argument("--files", nargs="*", help="look at these only, relative to the root")


def report(problems):
    """Prints the problems in order of place; the exit status."""
    lines = sorted(set(problems))
    for problem in lines:
        print(f"{problem.path}:{problem.line}: {problem.text}")
    return 1 if lines else 0


def run(check):
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    add_tree_arguments(parser)
    arguments = parser.parse_args()
    sys.exit(report(check(Tree(arguments.root, arguments.files))))
