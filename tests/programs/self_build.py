#!/usr/bin/python3
"""The project builds itself under its own library, and what comes out is the same and works.

    self_build.py LIBRARY SOURCE_ROOT
"""

import shutil
import sys

import harness

OPTIONS = ["-Dtests=disabled", "-Dbench=disabled", "-Dtools=disabled"]
# A release build holds no directory's name, so both sides must make the same bytes.
SCRIPT = f"""
meson setup --buildtype=release {' '.join(OPTIONS)} build "$0" > log
meson compile -C build elasticpool:shared_library > log
cp build/preload/libelasticpool.so .
LD_PRELOAD=$PWD/libelasticpool.so sh -c 'ls "$0" | sort | xz | xz -d' "$0"
rm -r build log
"""


def body(trial: harness.Harness) -> None:
    for program in ("meson", "ninja", "g++"):
        trial.need(program)
    trial.same(["bash", "-euc", SCRIPT, sys.argv[2]], processes=20)


if __name__ == "__main__":
    harness.main(body)
