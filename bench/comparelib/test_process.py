"""One program: its end, good or bad, by launchers of a line of shell."""

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from comparelib.process import Failure, Launched, Usage

GOOD = "status=0 signal=0 wall_us=1500000 cpu_us=250000 peak_rss_kib=2048 minor_faults=7"


class LaunchedTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="launcher-")
        self.addCleanup(folder.cleanup)
        self.launcher = Path(folder.name) / "launcher"

    def launched(self, script, settings=()):
        # The number of the descriptor may have two digits: only /dev/fd takes that in every shell.
        self.launcher.write_text(f"#!/bin/sh\nreport=/dev/fd/$1\n{script}\n")
        self.launcher.chmod(0o755)
        return Launched(str(self.launcher), settings, ["program", "argument"])

    def failure(self, script):
        with self.launched(script) as launched, self.assertRaises(Failure) as caught:
            launched.wait(60)
        return str(caught.exception)

    def test_a_good_end(self):
        script = f'echo "$2" "$3" "$4"; echo {GOOD} > $report'
        with self.launched(script, ["NAME=value"]) as launched:
            self.assertEqual(launched.wait(60), Usage(1.5, 0.25, 2048, 7))
            self.assertEqual(launched.output(), "NAME=value -- program\n")

    def test_bad_ends(self):
        self.assertEqual(
            self.failure(f"echo one >&2; echo two >&2; echo {GOOD} signal=11 > $report"),
            "program: killed by SIGSEGV: two",
        )
        self.assertEqual(self.failure(f"echo {GOOD} status=3 > $report"), "program: exit status 3")
        self.assertEqual(self.failure("exit 1"), "program: the launcher failed")

    def test_nothing_runs_on(self):
        with self.launched("echo $$; exec sleep 1000") as launched:
            with self.assertRaisesRegex(Failure, "did not end within 0.1 s"):
                launched.wait(0.1)
            while not launched.output():
                self.assertFalse(launched.ends_within(0.01))
            process = int(launched.output())
            os.kill(process, 0)
        with self.assertRaises(ProcessLookupError):
            os.kill(process, 0)

    def test_the_preload_of_the_caller_is_not_passed_on(self):
        script = f"echo ${{LD_PRELOAD-none}}; echo {GOOD} > $report"
        with mock.patch.dict(os.environ, LD_PRELOAD=""), self.launched(script) as launched:
            launched.wait(60)
            self.assertEqual(launched.output(), "none\n")


if __name__ == "__main__":
    unittest.main()
