#!/usr/bin/python3
"""bench/compare end to end, on so little work that nothing is measured.

    bench/smoke.py BUILD [LIBRARY]

Compares glibc with the library, or glibc alone where there is none.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

COMPARE = Path(__file__).resolve().parent / "compare"
ANATOMY = COMPARE.with_name("anatomy")
# Against a hang only.
SECONDS_MAX = 400
BUILD, LIBRARY = "build", None


class Smoke(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="smoke-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        # Whatever compare starts has this folder in its command line.
        self.environment = {**os.environ, "TMPDIR": folder.name}
        self.allocators = ["glibc", "elasticpool"] if LIBRARY else ["glibc"]
        self.command = [COMPARE, "--build", BUILD, "--quick", "--disturbance", "1000"]
        self.command += ["--allocators", ",".join(self.allocators)]
        self.command += ["--elasticpool", LIBRARY] if LIBRARY else []

    def compare(self, *arguments):
        command = [*map(str, [*self.command, *arguments])]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=SECONDS_MAX
        )

    def processes(self):
        """Command lines of what compare started and what still runs."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"{self.folder}/compare-" in line:
                found.append(line)
        return found

    def test_table_json_and_plot(self):
        out = self.folder / "out"
        result = self.compare("--workloads", "lifo,mixed2", "--rounds", "1", "--out", out)
        self.assertEqual(result.returncode, 0, result.stderr)
        for word in ["Time", "Peak memory", "lifo", "mixed2", "geometric mean", *self.allocators]:
            self.assertIn(word, result.stdout)

        document = json.loads((out / "compare.json").read_text())
        self.assertEqual(len(document["runs"]), 2 * len(self.allocators))
        self.assertEqual(document["failures"], [])
        for workload in ("lifo", "mixed2"):
            for allocator in self.allocators:
                cell = document["results"][workload][allocator]
                self.assertGreater(cell["seconds"], 0)
                self.assertGreater(cell["peak_rss_kib"], 100)
                self.assertGreater(cell["minor_faults"], 10)
                self.assertGreater(cell["time_ratio"], 0)
        if LIBRARY and "no plot" not in result.stderr:
            self.assertEqual((out / "compare.png").read_bytes()[:4], b"\x89PNG")
            self.assertIn("elasticpool", (out / "compare.svg").read_text())

    def test_saved_files_are_merged_and_compared(self):
        file, merged = self.folder / "one.json", self.folder / "merged"
        allocators = ["--allocators", "glibc,elasticpool-trial=" + LIBRARY] if LIBRARY else []
        arguments = ["--workloads", "lifo", "--rounds", "1", *allocators]
        result = self.compare(*arguments, "--json", file)
        self.assertEqual(result.returncode, 0, result.stderr)
        result = self.compare("--merge", file, file, "--out", merged)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("geometric mean", result.stdout)
        document = json.loads((merged / "compare.json").read_text())
        self.assertEqual({run["round"] for run in document["runs"]}, {0, 1})
        self.assertEqual(len(document["merged"]), 2)
        if LIBRARY and "no plot" not in result.stderr:
            self.assertIn("elasticpool-trial", (merged / "overview.svg").read_text())
            self.assertIn("lower left is better", (merged / "overview.svg").read_text())

        result = self.compare("--diff", file, merged / "compare.json")
        if LIBRARY:
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertRegex(result.stdout, r"(?m)^lifo +1\.000$")
        else:
            self.assertIn("no workload and no allocator but glibc", result.stderr)

    def test_every_program_runs(self):
        result = self.compare(
            "--workloads", "all", "--rounds", "1", "--figures", "throughput,cpu,faults"
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("Throughput", result.stdout)
        self.assertIn("CPU time", result.stdout)
        self.assertIn("Page faults", result.stdout)
        self.assertNotIn("Peak memory", result.stdout)
        ours = "sqlite2 sqlite_disk crossfree threadchurn tree medium huge fragment"
        others = "redis_fragment gcc clang python_objects perl lua jq xmllint memcached"
        patterns = "barnes larson8 cache-scratch2 sh8x4 sawtooth"
        for word in f"{ours} {others} {patterns}".split():
            if f"workload {word}:" not in result.stderr:
                self.assertIn(f"\n{word} ", result.stdout)

    def test_giving_back_is_in_no_mean(self):
        file = self.folder / "giveback.json"
        arguments = ["--workloads", "giveback,lifo", "--rounds", "1", "--json", file]
        result = self.compare(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        for words in ("idle3, after 3 s", "burst-runs4, at once", "sawtooth-3s, later"):
            self.assertRegex(result.stdout, rf"(?m)^{words} .*\d")
        document = json.loads(file.read_text())
        self.assertEqual(list(document["results"]), ["lifo"])
        again = self.compare("--merge", file)
        self.assertIn("burst-random, after 10 s", again.stdout)
        alone = self.compare("--workloads", "idle", "--rounds", "1")
        self.assertEqual(alone.returncode, 0, alone.stderr)
        self.assertNotIn("geometric mean", alone.stdout)

    def test_anatomy(self):
        if not LIBRARY:
            self.skipTest("no library")
        command = [ANATOMY, "--build", BUILD, "--elasticpool", LIBRARY, "--quick"]
        command += ["--workloads", "lifo,huge", "--json", str(self.folder / "rows.json")]
        result = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=SECONDS_MAX
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"(?m)^lifo +1.27 M +99.\d % ")
        rows = json.loads((self.folder / "rows.json").read_text())["rows"]
        self.assertEqual([row["workload"] for row in rows], ["lifo", "huge"])
        wrong = subprocess.run([ANATOMY, "--workloads", "nosuch"], capture_output=True, text=True)
        self.assertEqual(wrong.returncode, 2)
        self.assertRegex(wrong.stderr, r"\Abench/anatomy: .+\n\Z")

    def test_a_missing_allocator_is_left_out(self):
        for path in ("/nonexistent.so", str(COMPARE)):
            result = self.compare("--allocators", f"glibc,absent={path}", "--workloads", "lifo")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("left out: allocator absent: ", result.stderr)
            self.assertNotIn("absent", result.stdout)

    def test_bad_arguments_are_one_line(self):
        for arguments in (
            ["--allocators", "nosuch"],
            ["--allocators", "glibc,glibc"],
            ["--workloads", "redis,nosuch"],
            ["--rounds", "0"],
            ["--rounds", "many"],
            ["--figures", "time,nosuch"],
            ["--ours", "nosuch"],
            ["--nonsense"],
            ["--merge", "/nonexistent.json"],
            ["--merge", str(COMPARE)],
            ["--diff", "/nonexistent.json", "/nonexistent.json"],
            ["--diff", "/nonexistent.json"],
        ):
            result = self.compare(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertRegex(result.stderr, r"\Abench/compare: .+\n\Z")
            self.assertEqual(result.stdout, "")

    def test_an_interrupt_prints_what_there_is(self):
        command = [*self.command, "--workloads", "lifo", "--rounds", "100000"]
        with subprocess.Popen(
            command, env=self.environment, stdout=-1, stderr=-1, text=True
        ) as running:
            for line in running.stderr:
                if "round 2 of" in line:
                    running.send_signal(signal.SIGINT)
                    break
            output, errors = running.communicate(timeout=SECONDS_MAX)
        self.assertEqual(running.returncode, 130, errors)
        self.assertIn("interrupted after", errors)
        self.assertIn("geometric mean", output)

    @unittest.skipUnless(shutil.which("redis-server"), "redis-server is not installed")
    def test_an_interrupt_leaves_no_server(self):
        command = [argument for argument in self.command if argument != "--quick"]
        command += ["--workloads", "redis", "--rounds", "1000"]
        with subprocess.Popen(
            command, env=self.environment, stdout=-1, stderr=-1, text=True
        ) as running:
            deadline = time.monotonic() + SECONDS_MAX
            while not any("redis-server" in line for line in self.processes()):
                self.assertLess(time.monotonic(), deadline, "no server was started")
                time.sleep(0.02)
            running.send_signal(signal.SIGTERM)
            running.communicate(timeout=SECONDS_MAX)
        self.assertEqual(running.returncode, 130)
        self.assertEqual(self.processes(), [])


if __name__ == "__main__":
    BUILD = sys.argv[1]
    LIBRARY = sys.argv[2] if len(sys.argv) > 2 else None
    unittest.main(argv=sys.argv[:1])
