#!/usr/bin/env python3
"""Whether the functions that a small program runs lie side by side in the library.

usage: every_process.py PROGRAM LIBRARY LIST

PROGRAM runs under callgrind with LIBRARY preloaded, once for nothing and once in earnest. Each
function of the library that it ran has to lie before END, where those of LIST
(preload/layout/every_process.txt) end, and these have to fit into one of the windows of code that
the kernel maps at once. Which functions a start runs depends on the machine (its groups, nodes,
huge pages): of those that lie elsewhere it is told, no more.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

END = "ep_end_of_every_process"
WINDOW_BYTES = 64 * 1024
SKIPPED = 77


def lines_of(*command):
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return run.stdout.splitlines()


def functions_of(library):
    """{name: address} of all functions, and of END."""
    rows = (line.split() for line in lines_of("nm", library))
    return {row[2]: int(row[0], 16) for row in rows if len(row) == 3 and row[1] in "tTwW"}


def functions_run(library, *command):
    """The names of those functions of the library that the command ran."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("MEMPOOL_")}
    with tempfile.NamedTemporaryFile(prefix="every-process-") as profile:
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", "--demangle=no", "--compress-strings=no",
             f"--callgrind-out-file={profile.name}", *command],
            env={**environment, "LD_PRELOAD": library}, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, timeout=140)
        if run.returncode != 0:
            sys.exit(f"{command[0]} fails under valgrind with {library}:\n{run.stderr.decode()}")
        names, is_ours = set(), False
        for line in profile.read().decode(errors="replace").splitlines():
            if line.startswith("ob="):
                is_ours = line[3:].strip() == library
            elif line.startswith("fn=") and is_ours:
                # 'N: callgrind's mark of a recursive call.
                names.add(re.sub(r"'\d+$", "", line[3:].strip()))
    return names


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    program, library, listed = sys.argv[1], os.path.realpath(sys.argv[2]), sys.argv[3]
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed")
        return SKIPPED
    addresses = functions_of(library)
    if END not in addresses:
        sys.exit(f"{library} has no symbol {END}: is it stripped?")
    at_start = functions_run(library, program, "nothing")
    run = functions_run(library, program) & addresses.keys()
    end = addresses[END]
    bytes_in_window = end % WINDOW_BYTES
    print(f"{len(run)} functions run; those listed end {bytes_in_window} bytes into their window")
    elsewhere = sorted(name for name in run if addresses[name] >= end)
    for name in elsewhere:
        print(f"{name} lies elsewhere: add it to {listed}")
    outside = [name for name in elsewhere if name not in at_start]
    if end // WINDOW_BYTES != min(addresses.values()) // WINDOW_BYTES:
        print(f"those listed take more than one window of {WINDOW_BYTES} bytes")
        return 1
    return 0 if run and not outside else 1


if __name__ == "__main__":
    sys.exit(main())
