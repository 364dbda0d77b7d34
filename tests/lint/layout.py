#!/usr/bin/env python3
"""The top level holds what README.md lists and dot files; nothing else is ever committed there."""

from source import Problem, run

TOP = {
    "LICENSE", "README.md", "bench", "lib", "meson.build", "meson_options.txt", "preload",
    "scripts", "tests", "tools",
}  # fmt: skip


def check(tree):
    for path in tree.tracked():
        top = path.split("/")[0]
        if top not in TOP and not top.startswith("."):
            yield Problem(path, 1, f"`{top}` does not belong at the top level")


if __name__ == "__main__":
    run(check)
