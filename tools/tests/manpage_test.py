#!/usr/bin/python3
"""Each man page is clean to mandoc, and says what its reader looks for.

manpage_test.py PAGE...
"""

import pathlib
import shutil
import subprocess
import sys

SECTIONS = {
    ".1": ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "EXAMPLES", "SEE ALSO"),
    ".3": ("NAME", "SYNOPSIS", "DESCRIPTION", "ENVIRONMENT", "FILES", "EXAMPLES", "DIAGNOSTICS",
           "SEE ALSO"),
}  # fmt: skip
TABLE = pathlib.Path(__file__).parents[2] / "lib" / "tune" / "options.def"


def option_names():
    """Each row of the table begins a line."""
    heads = ("EP_CHOICE(", "EP_SIZE(", "EP_LIMIT(", "EP_LEVELS(", "EP_PATH(", "EP_TARGET(")
    return [
        line.split("(")[1].split(",")[0]
        for line in TABLE.read_text().splitlines()
        if line.startswith(heads)
    ]


def problems(page):
    lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", page], capture_output=True, text=True)
    yield from lint.stdout.splitlines()
    shown = subprocess.run(["mandoc", "-Tascii", page], capture_output=True, text=True, check=True)
    # Bold is a letter over itself.
    text = subprocess.run(["col", "-b"], input=shown.stdout, capture_output=True, text=True).stdout
    lines = text.splitlines()
    yield from (f"no section {s}" for s in SECTIONS[page.suffix] if s not in lines)
    if page.suffix == ".3":
        names = option_names()
        yield from [] if names else ["no options in the table"]
        yield from (f"nothing of MEMPOOL_{n}" for n in names if f"MEMPOOL_{n}" not in text.split())


def main():
    if not shutil.which("mandoc") or not shutil.which("col"):
        print("skipped: no mandoc or no col here")
        return 77
    pages = [pathlib.Path(name) for name in sys.argv[1:]]
    found = [f"{page.name}: {problem}" for page in pages for problem in problems(page)]
    print("\n".join(found) or f"{len(pages)} pages are clean")
    return 1 if found or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
