"""The order of runs, repeats of disturbed ones, and what is asked for: without any program."""

import tempfile
import unittest
from types import SimpleNamespace
from unittest import mock

from comparelib import allocators, measure, workloads
from comparelib.allocators import Allocator, Unknown
from comparelib.process import Failure, Usage, parse_words
from comparelib.workloads import Sample


class FakeWorkload:
    """Gives one sample after the other; the others' CPU use of each run is scripted."""

    name = "fake"

    def __init__(self, seconds):
        self.seconds = list(seconds)

    def run(self, bench, settings):
        del bench, settings
        outcome = self.seconds.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return Sample(Usage(outcome, outcome, 1000, 10), operations=5, checksum="aa")


def run_fake(seconds, shares):
    shares = iter(shares)
    meter = SimpleNamespace(share=lambda: next(shares))
    with mock.patch.object(measure, "OthersMeter", lambda: meter), mock.patch.object(
        measure.time, "sleep"
    ):
        return measure.measure(FakeWorkload(seconds), Allocator("x", "x.so"), 0, None, 0.05)


class ScheduleTest(unittest.TestCase):
    def test_everything_runs_once_a_round(self):
        plan = list(measure.schedule("ab", ["x", "y", "z"], 4))
        self.assertEqual(len(plan), 4 * 2 * 3)
        self.assertEqual(len(set(plan)), len(plan))
        self.assertEqual([number for number, _, _ in plan], sorted(n for n, _, _ in plan))

    def test_each_allocator_goes_first_in_turn(self):
        plan = list(measure.schedule("a", ["x", "y", "z"], 3))
        orders = ["".join(plan[i + j][2] for j in range(3)) for i in (0, 3, 6)]
        self.assertEqual(orders, ["xyz", "yzx", "zxy"])


class MeasureTest(unittest.TestCase):
    def test_a_quiet_run_is_kept(self):
        run = run_fake([1.0], [0.01])
        self.assertEqual((run.seconds, run.attempts, run.disturbed), (1.0, 1, False))

    def test_a_disturbed_run_is_repeated(self):
        run = run_fake([9.0, 1.0], [0.5, 0.0])
        self.assertEqual((run.seconds, run.attempts, run.disturbed), (1.0, 2, False))

    def test_after_two_repeats_the_least_disturbed_is_marked(self):
        run = run_fake([9.0, 2.0, 3.0], [0.5, 0.1, 0.2])
        self.assertEqual((run.seconds, run.attempts, run.disturbed), (2.0, 3, True))

    def test_without_proc_nothing_is_called_disturbed(self):
        run = run_fake([1.0], [None])
        self.assertEqual((run.attempts, run.disturbed, run.others_share), (1, False, None))

    def test_a_failure_is_kept_and_not_repeated(self):
        run = run_fake([Failure("fake: killed by SIGABRT"), 1.0], [0.0])
        self.assertEqual(run.error, "fake: killed by SIGABRT")

    def test_busy_time_leaves_out_idle_and_waiting(self):
        with tempfile.NamedTemporaryFile("w") as stat:
            stat.write("cpu  100 20 30 99999 88888 4 5 6 7 8\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
            stat.flush()
            with mock.patch.object(measure.os, "sysconf", return_value=100):
                self.assertAlmostEqual(measure.machine_busy_seconds(stat.name), 1.65)
        self.assertIsNone(measure.machine_busy_seconds("/nonexistent"))


class ListsTest(unittest.TestCase):
    def test_allocators(self):
        self.assertEqual(
            allocators.parse_list("glibc, mine=/a/b.so"), [("glibc", None), ("mine", "/a/b.so")]
        )
        for text in ("", "nosuch", "glibc,glibc", "mine=", "=x.so", "glibc,"):
            with self.assertRaises(Unknown, msg=text):
                allocators.parse_list(text)

    def test_settings(self):
        self.assertEqual(
            allocators.parse_settings(["a:X=1", "b:Y=2=3", "a:Z="], ["a", "b"]),
            {"a": ("X=1", "Z="), "b": ("Y=2=3",)},
        )
        for text in ("a", "a:X", "a:=1", "c:X=1", "X=1", ""):
            with self.assertRaises(Unknown, msg=text):
                allocators.parse_settings([text], ["a", "b"])
        library = allocators.resolve("glibc", None, None, ("X=1",))
        self.assertEqual(library.environment(), [f"LD_PRELOAD={library.path}", "X=1"])

    def test_workloads(self):
        self.assertEqual([w.name for w in workloads.parse_list("tree,redis")], ["tree", "redis"])
        self.assertEqual(workloads.parse_list("all"), workloads.CATALOG)
        several = workloads.parse_list("redis, patterns")
        self.assertEqual(several, [workloads.REAL[0], *workloads.PATTERNS])
        self.assertEqual(several[0].name, "redis")
        for text in ("", "nosuch", "tree,tree", "tree,", "larson,patterns"):
            with self.assertRaises(Unknown, msg=text):
                workloads.parse_list(text)

    def test_words(self):
        self.assertEqual(parse_words("a=1 noise b=x=y\n"), {"a": "1", "b": "x=y"})


if __name__ == "__main__":
    unittest.main()
