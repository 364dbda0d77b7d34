#!/usr/bin/env python3
"""The forecast harness on two small made traces: a leak that crosses, and one that stays flat."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

HARNESS = sys.argv.pop(1)
LIMIT = 1_000_000_000
SECONDS = 400


def run(*arguments):
    return subprocess.run([HARNESS, *arguments], capture_output=True, text=True, check=False)


def write(folder, name, shares):
    lines = [f"{s},{int(share * LIMIT)},{LIMIT}" for s, share in enumerate(shares)]
    text = "\n".join(["time_s,used_bytes,limit_bytes", *lines, ""])
    (pathlib.Path(folder) / name).write_text(text)


class Smoke(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        write(self.folder.name, "leak_rss.csv", [0.3 + 0.002 * s for s in range(SECONDS)])
        write(self.folder.name, "flat_rss.csv", [0.5] * SECONDS)

    def tearDown(self):
        self.folder.cleanup()

    def rows(self, *arguments):
        done = run(*arguments, self.folder.name)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return {row.split()[0]: row.split() for row in done.stdout.splitlines() if row.strip()}

    def test_table(self):
        rows = self.rows()
        # A line is exact on both; the last value is right on the flat one alone.
        self.assertEqual(rows["linear"][1], "100.0/100.0/100.0")
        self.assertEqual(rows["last"][1], "100.0/50.0/50.0")
        mixed = rows["mixed"]
        self.assertEqual(mixed[4:6], ["1", "0.0"], "one crossing, not missed")
        self.assertGreater(float(mixed[6]), 60)
        self.assertLess(int(rows["state:"][1]), 24 * 1024 + 1)

    def test_one_method(self):
        rows = self.rows("--method", "mixed", "--traces")
        self.assertNotIn("linear", rows)
        self.assertIn("leak_rss", rows)

    def test_holdout(self):
        for name in "abcde":
            write(self.folder.name, f"x{name}_live.csv", [0.4] * SECONDS)
        done = run("--holdout", self.folder.name)
        self.assertIn("tuned on: 6 traces", done.stdout)
        self.assertIn("held out: 1 traces", done.stdout)

    def test_a_bad_file_is_one_line(self):
        cases = {
            "heading": "a,b,c\n1,2,3\n",
            "fields": "time_s,used_bytes,limit_bytes\n1,2\n",
            "order": "time_s,used_bytes,limit_bytes\n1,2,3\n1,2,3\n",
            "limit": "time_s,used_bytes,limit_bytes\n1,2,0\n",
            "negative": "time_s,used_bytes,limit_bytes\n1,-2,3\n",
            "tail": "time_s,used_bytes,limit_bytes\n1,2,3x\n",
            "empty": "time_s,used_bytes,limit_bytes\n",
        }
        for name, text in cases.items():
            with self.subTest(name):
                path = pathlib.Path(self.folder.name) / "bad.csv"
                path.write_text(text)
                done = run(self.folder.name)
                self.assertEqual(done.returncode, 2)
                self.assertEqual(done.stdout, "")
                self.assertEqual(done.stderr.count("\n"), 1)
                self.assertIn("bad.csv", done.stderr)

    def test_bad_calls(self):
        for arguments in ([], ["--nonsense", "x"], ["--method", "magic", self.folder.name]):
            self.assertEqual(run(*arguments).returncode, 2, arguments)
        self.assertEqual(run(self.folder.name + "/nowhere").returncode, 2)


if __name__ == "__main__":
    unittest.main()
