#!/usr/bin/env python3
"""The ring benchmark on so little work that nothing is measured: it runs, checks and cleans up."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

BENCH = sys.argv.pop(1)
# Against a hang only.
SECONDS_MAX = 240
ENOUGH_CPUS = len(os.sched_getaffinity(0)) >= 2


def run(*arguments):
    command = [BENCH, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX)


def processes(mark):
    """Those with `mark` in their command line."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark in path.read_bytes().decode(errors="replace"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@unittest.skipUnless(ENOUGH_CPUS, "needs two processors")
class Smoke(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ring-smoke-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_everything_once(self):
        file = pathlib.Path(self.folder) / "ring.json"
        arguments = ["--seconds", "0.004", "--rounds", "1", "--kills", "2", "--json", str(file)]
        result = run(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        document = json.loads(file.read_text())
        rows = {row["name"]: row for row in document["results"]}
        self.assertEqual([*rows], run("--list").stdout.split())
        for name, row in rows.items():
            # The kernel's limits are the machine's affair; the ring has none.
            self.assertTrue(row["median"] or "unable" in row, name)
            if "ring" in name or "64" in name:
                self.assertNotIn("unable", row, name)
            for value in row["median"].values():
                self.assertGreaterEqual(value, 0, name)
        self.assertEqual(rows["latency/line"]["ratio"]["half_p50"], 1)
        self.assertGreater(rows["latency/ring/64/poll"]["ratio"]["half_p50"], 0)
        self.assertGreater(rows["throughput/ring/64/batches"]["median"]["millions_per_second"], 0)
        self.assertRegex(result.stdout, r"(?m)^recovery/ring +\d")

    def test_whole_payloads_and_a_selection(self):
        arguments = ["--only", "ring/4k,pipe/4k", "--whole", "--check-payloads", "--slots", "256"]
        result = run(*arguments, "--seconds", "0.01", "--rounds", "2")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"(?m)^throughput/pipe/4k/batches +\d")
        self.assertNotIn("boost", result.stdout)
        self.assertRegex(result.stdout, r"(?m)^latency/line +\d")

    def test_bad_calls_are_one_line(self):
        for arguments in (
            ["--nonsense"],
            ["--rounds", "0"],
            ["--rounds", "many"],
            ["--seconds", "-1"],
            ["--only", "nosuch"],
            ["--cpus", "0"],
            ["--cpus", "0,0"],
            ["--cpus", "0,99999"],
            ["left over"],
        ):
            with self.subTest(arguments):
                result = run(*arguments)
                self.assertEqual(result.returncode, 2)
                self.assertRegex(result.stderr, r"\Aring: .+\n\Z")
                self.assertEqual(result.stdout, "")

    def interrupted(self, number):
        mark = f"{self.folder}/{number}.json"
        command = [BENCH, "--only", "ring/64", "--rounds", "10000", "--json", mark]
        with subprocess.Popen(command, stdout=-1, stderr=-1, text=True) as running:
            deadline = time.monotonic() + SECONDS_MAX
            while len(processes(mark)) < 3:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
            running.send_signal(number)
            output, errors = running.communicate(timeout=SECONDS_MAX)
        # A process that was killed is gone once its parent is: the kernel needs a moment.
        while processes(mark):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        return running.returncode, output, errors

    def test_an_interrupt_prints_what_there_is_and_leaves_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            status, output, errors = self.interrupted(number)
            self.assertEqual(status, 130, errors)
            self.assertTrue(errors.endswith("ring: interrupted\n"), errors)
            if output:
                self.assertTrue(re.search("(?m)^latency/line", output), output)

    def test_a_kill_leaves_nothing(self):
        self.assertEqual(self.interrupted(signal.SIGKILL)[0], -signal.SIGKILL)


if __name__ == "__main__":
    unittest.main()
