#!/usr/bin/env python3
"""malloc_info writes well-formed XML in glibc's form, and its totals are mallinfo2's.

usage: malloc_info.py PROGRAM [LIBRARY]      without LIBRARY, on the C library alone
"""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree


def size_of(parent, tag, kind, attribute="size"):
    """The attribute of the direct child <tag type="kind">; one that is not there counts nothing."""
    children = (child for child in parent.findall(tag) if child.get("type") == kind)
    return sum(int(child.get(attribute)) for child in children)


def main():
    environment = dict(os.environ)
    if len(sys.argv) > 2:
        environment["LD_PRELOAD"] = os.path.abspath(sys.argv[2])
    run = subprocess.run(
        [sys.argv[1]], env=environment, stdout=subprocess.PIPE, text=True, timeout=60)
    if run.returncode != 0:
        return f"{sys.argv[1]} exits {run.returncode}"
    figures, xml = run.stdout.split("\n", 1)
    arena, fordblks, hblks, hblkhd = map(int, figures.split())
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        return f"not well formed: {error}"
    if (root.tag, root.get("version")) != ("malloc", "1"):
        return f"the root is <{root.tag} version={root.get('version')}>, not <malloc version=1>"

    heaps = sum(size_of(heap, "system", "current") for heap in root.findall("heap"))
    free = size_of(root, "total", "rest") + size_of(root, "total", "fast")
    told = {
        "arena": (size_of(root, "system", "current"), arena),
        "fordblks": (free, fordblks),
        "hblks": (size_of(root, "total", "mmap", "count"), hblks),
        "hblkhd": (size_of(root, "total", "mmap"), hblkhd),
        "sum of the heaps": (heaps, arena),
    }
    wrong = [f"{name}: malloc_info {written}, mallinfo2 {info}"
             for name, (written, info) in told.items() if written != info]
    return "; ".join(wrong) or (None if arena + hblkhd > 0 else "all figures are 0")


if __name__ == "__main__":
    sys.exit(main())
