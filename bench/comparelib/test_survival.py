"""The table of who survives, from hand-made runs; and that a killed program is no failure."""

import os
import tempfile
import unittest
from pathlib import Path

from comparelib import survival, workloads
from comparelib.allocators import Missing
from comparelib.process import Failure
from comparelib.results import Results, Run

MIB = 1 << 20


def run(workload, allocator, survived, peak_mib):
    details = {"survived": survived, "peak_bytes": peak_mib * MIB}
    return Run(workload, allocator, 0, seconds=3, details=details)


class FakeBuild:
    """A build folder in which in_group and the launcher are scripts."""

    def __init__(self, folder, says):
        self.programs = Path(folder) / "bench" / "workloads"
        self._folder = Path(folder) / "tests" / "pressure"
        for parent in (self.programs, self._folder):
            parent.mkdir(parents=True)
        self._script(self.programs / "launch", 'shift 2; "$@"; echo wall_us=1 >/dev/null')
        self._script(self._folder / "in_group", f'echo "$@" >&2; {says}')
        self._script(self._folder / "pressure_phase_change", "true")

    @staticmethod
    def _script(path, text):
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
        os.chmod(path, 0o755)

    def launcher(self):
        return str(self.programs / "launch")


class SurvivalTest(unittest.TestCase):
    def sample(self, says):
        with tempfile.TemporaryDirectory() as folder:
            return survival.ROWS[0].run(FakeBuild(folder, says), ["LD_PRELOAD=x"])

    def test_it_is_asked_for_by_name(self):
        self.assertEqual(workloads.parse_list("survival"), survival.ROWS)
        names = [workload.name for workload in workloads.parse_list("all")]
        self.assertFalse(set(names) & set(survival.NAMES))

    def test_what_the_kernel_kills_is_a_result(self):
        words = "oom_kills=1 signal=9 peak_bytes=2097152 took_ms=1500"
        sample = self.sample(f"echo in_group: survived=0 {words}; exit 1")
        self.assertEqual(sample.details["survived"], 0)
        self.assertEqual((sample.usage.peak_rss_kib, sample.usage.seconds), (2048, 1.5))

    def test_what_ends_otherwise_is_a_failure(self):
        with self.assertRaisesRegex(Failure, "not by the kernel"):
            self.sample("echo in_group: survived=0 oom_kills=0 peak_bytes=1 took_ms=1; exit 1")
        with self.assertRaises(Failure):
            self.sample("exit 77")

    def test_what_is_not_built_is_left_out(self):
        with tempfile.TemporaryDirectory() as folder:
            bench = FakeBuild(folder, "true")
            survival.ROWS[0].check(bench)
            with self.assertRaises(Missing):
                survival.ROWS[-1].check(bench)

    def test_the_table_counts(self):
        runs = [run("phase-runs", "mine", 1, peak) for peak in (1200, 1300, 1240)]
        runs += [run("phase-runs", "half", survived, 1300) for survived in (1, 0)]
        runs += [run("phase-runs", "none", 0, 1434), run("phase-runs", "wide", 1, 1331)]
        runs.append(Run("phase-runs", "bad", 0, error="phase-runs: ended badly"))
        lines = survival.format_table(runs, ["mine", "half", "none", "wide", "bad"])
        self.assertEqual(len(lines), 5)
        self.assertRegex(
            lines[3],
            r"^phase-runs +3 of 3, 1240 MiB +1 of 2, 1300 MiB! +0 of 1! +"
            r"1 of 1, 1331 MiB! +failed$",
        )
        self.assertEqual(survival.format_table(runs[:0], ["mine"]), [])

    def test_no_mean_has_them(self):
        self.assertEqual(Results([run("phase-runs", "a", 1, 1)], [], ["a"], "a").workloads, [])


if __name__ == "__main__":
    unittest.main()
