#!/usr/bin/env python3
"""in_group itself: what it says of a run, and that no group stays behind, whoever is killed.

Usage: in_group_test.py IN_GROUP. Exit status 77 where no group can be made here.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE_S = 60
IN_GROUP = sys.argv[1]
EAT = "import os, sys, time\nx = bytearray(int(sys.argv[1]) << 20)\n"


def run(*arguments):
    """-> (exit status, words of the last line that has some)"""
    done = subprocess.run([IN_GROUP, *arguments], stdout=subprocess.PIPE, text=True,
                          timeout=PATIENCE_S, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("in_group: ")]
    words = [word for line in lines for word in line.split() if "=" in word]
    return done.returncode, dict(word.split("=", 1) for word in words)


def python(code, *arguments):
    return ["/usr/bin/python3", "-c", EAT + code, *arguments]


def expect(what, condition, *seen):
    if not condition:
        sys.exit(f"{what}: {seen}")


def groups_left():
    found = []
    for root, folders, _ in os.walk("/sys/fs/cgroup"):
        found += [f"{root}/{name}" for name in folders if name.startswith("elasticpool-test-")]
    return found


def wait_until(what, condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        expect(what, time.monotonic() < end, groups_left())
        time.sleep(0.02)


def reports():
    status, words = run("--limit", "100M", *python("", "20"))
    expect("a good run", status == 0 and words["survived"] == "1", status, words)
    expect("its peak", 20 << 20 < int(words["peak_bytes"]) < 60 << 20, words)
    expect("its limit", words["limit_bytes"] == str(100 << 20), words)
    status, words = run("--limit", "100M", *python("", "200"))
    expect("killed", (status, words["survived"], words["signal"]) == (1, "0", "9"), status, words)
    expect("by the kernel", words["oom_kills"] == "1", words)
    status, words = run("--limit", "100M", "--may-be-killed", *python("", "200"))
    expect("may be killed", status == 0 and words["survived"] == "1", status, words)
    status, words = run("--limit", "100M", *python("sys.exit(3)", "1"))
    expect("its own failure", (status, words["status"]) == (1, "3"), status, words)
    status, words = run("--limit", "100M", "--may-be-killed", *python("os.abort()", "1"))
    expect("a crash is none", (status, words["signal"]) == (1, "6"), status, words)
    status, words = run("--limit", "100M", "--peak-at-most", "30%", *python("", "50"))
    expect("peak over its bound", status == 1 and words["status"] == "0", status, words)
    status, _ = run("--limit", "100M", *python("sys.exit(77)", "1"))
    expect("skipped", status == 77, status)
    status, words = run("--timeout", "0.5", *python("time.sleep(100)", "1"))
    expect("hung", status == 1 and words["hung"] == "1", status, words)
    status, words = run("--limit", "100M", "--nested", *python("", "200"))
    expect("killed by the limit above", words["oom_kills"] == "1", status, words)


def repeats():
    code = "sys.exit(os.environ['EP_TEST_RUN'] == '1')"
    status, words = run("--limit", "100M", "--repeat", "3", *python(code, "1"))
    expect("two of three", (status, words["survived_runs"], words["runs"]) == (1, "2", "3"), words)


def changes():
    group = "open('/proc/self/cgroup').read()"
    code = f"before = {group}\ntime.sleep(1)\nsys.exit('-next' in before or '-next' not in {group})"
    status, words = run("--limit", "100M", "--move-at", "0.5", *python(code, "1"))
    expect("moved", status == 0, status, words)
    code = "time.sleep(1)\ny = bytearray(100 << 20)"
    status, words = run("--limit", "100M", "--set", "max@0.3", *python(code, "50"))
    expect("a higher limit", status == 0, status, words)
    # Version 1 refuses, version 2 kills.
    status, words = run("--limit", "200M", "--set", "10M@0.5", *python("time.sleep(1)", "100"))
    expect("below what is used", words["refused"] == "1" or words["oom_kills"] == "1", words)


def start_and_wait(marker):
    code = "open(sys.argv[2], 'w').write(str(os.getpid()))\ntime.sleep(1000)"
    process = subprocess.Popen([IN_GROUP, "--limit", "100M", *python(code, "1", marker)],
                               stdout=subprocess.DEVNULL)
    wait_until("the program starts", lambda: os.path.exists(marker) and os.path.getsize(marker))
    return process, int(Path(marker).read_text(encoding="ascii"))


def is_gone(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
    except OSError:
        return True
    return state == "Z"


def keeper_of(program):
    words = Path(f"/proc/{program}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return int(words[1])


def leaves_nothing_behind():
    with tempfile.TemporaryDirectory() as folder:
        for number, kill in enumerate([
            lambda process, program: process.send_signal(signal.SIGTERM),
            lambda process, program: process.send_signal(signal.SIGINT),
            lambda process, program: process.kill(),
            lambda process, program: os.kill(keeper_of(program), signal.SIGKILL),
        ]):
            process, program = start_and_wait(f"{folder}/{number}")
            name = f"elasticpool-test-{process.pid}"
            expect("there is a group", any(name in path for path in groups_left()))
            kill(process, program)
            process.wait(PATIENCE_S)
            wait_until("the program ends", lambda: is_gone(program))
            wait_until("no group is left",
                       lambda: not any(name in path for path in groups_left()))
            expect("and it says so", process.returncode not in (0, 77), number)


def main():
    status, _ = run("--limit", "100M", "/bin/true")
    if status == 77:
        sys.exit(77)
    reports()
    repeats()
    changes()
    leaves_nothing_behind()
    print("as it should be")


main()
