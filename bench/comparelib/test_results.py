"""Medians, ratios, means and tables, by hand-made runs."""

import random
import statistics
import unittest

from comparelib import table
from comparelib.results import FAULTS, MEMORY, THROUGHPUT, TIME, Results, Run
from comparelib.results import geometric_mean, median, ratio


def run(workload, allocator, seconds, kib=1024, **more):
    """A run that used the CPU for the square of its time, to tell the two apart."""
    return Run(workload, allocator, 0, seconds, seconds**2, kib, **more)


class PureTest(unittest.TestCase):
    def test_median(self):
        self.assertEqual(median([5]), 5)
        self.assertEqual(median([9, 1, 5]), 5)
        self.assertEqual(median([9, 1, 5, 6]), 5.5)
        self.assertEqual(median(value for value in (3, 1, 2)), 2)
        with self.assertRaises(ValueError):
            median([])

    def test_median_against_the_standard_library(self):
        generator = random.Random(7)
        for count in range(1, 40):
            values = [generator.uniform(-5, 5) for _ in range(count)]
            self.assertEqual(median(values), statistics.median(values), values)

    def test_ratio(self):
        self.assertEqual(ratio(3, 2), 1.5)
        self.assertEqual(ratio(0, 2), 0)
        self.assertIsNone(ratio(None, 2))
        self.assertIsNone(ratio(2, None))
        self.assertIsNone(ratio(2, 0))

    def test_geometric_mean(self):
        self.assertAlmostEqual(geometric_mean([2, 0.5]), 1)
        self.assertAlmostEqual(geometric_mean([1, 10, 100]), 10)
        self.assertAlmostEqual(geometric_mean([7]), 7)
        self.assertIsNone(geometric_mean([]))
        self.assertIsNone(geometric_mean([1, 0]))
        # A product of them would be zero, or infinite.
        self.assertAlmostEqual(geometric_mean([1e-200] * 9) * 1e200, 1)
        self.assertAlmostEqual(geometric_mean([1e200] * 9) / 1e200, 1)


class ResultsTest(unittest.TestCase):
    def setUp(self):
        self.runs = [
            *(run("lifo", "base", seconds, 2000, operations=10) for seconds in (4, 2, 90)),
            *(run("lifo", "mine", seconds, 1000, operations=10) for seconds in (2, 1, 3)),
            run("tree", "base", 1, 1000),
            run("tree", "mine", 2, 1000, disturbed=True),
        ]
        self.results = Results(self.runs, ["lifo", "tree", "huge"], ["mine", "base"], "base")

    def test_figures_are_medians(self):
        self.assertEqual(self.results.figure("lifo", "base", TIME), 4)
        self.assertEqual(self.results.figure("lifo", "mine", TIME), 2)
        self.assertEqual(self.results.figure("lifo", "mine", THROUGHPUT), 5)
        self.assertIsNone(self.results.figure("huge", "mine", TIME))

    def test_ratios_and_means(self):
        self.assertEqual(self.results.ratio("lifo", "mine", TIME), 0.5)
        self.assertEqual(self.results.ratio("lifo", "mine", THROUGHPUT), 2)
        self.assertEqual(self.results.ratio("tree", "mine", TIME), 2)
        self.assertAlmostEqual(self.results.mean("mine", TIME), 1)
        self.assertAlmostEqual(self.results.mean("mine", MEMORY), 0.5**0.5)
        self.assertEqual(self.results.mean("base", TIME), 1)

    def test_page_faults_are_a_figure(self):
        runs = [
            *(run("lifo", "base", 1, minor_faults=faults) for faults in (50, 10, 20)),
            *(run("lifo", "mine", 1, minor_faults=faults) for faults in (2000, 10, 50)),
        ]
        results = Results(runs, ["lifo"], ["base", "mine"], "base")
        self.assertEqual(results.figure("lifo", "mine", FAULTS), 50)
        self.assertEqual(results.ratio("lifo", "mine", FAULTS), 2.5)
        self.assertEqual(results.as_json()["results"]["lifo"]["mine"]["faults_ratio"], 2.5)
        self.assertIn("50    2.50", table.format_table(results, FAULTS)[3])

    def test_what_did_not_run_is_not_shown(self):
        self.assertEqual(self.results.workloads, ["lifo", "tree"])

    def test_a_failed_run_voids_its_cell(self):
        runs = [*self.runs, Run("lifo", "mine", 3, error="mixed: killed by SIGSEGV")]
        results = Results(runs, ["lifo", "tree"], ["mine", "base"], "base")
        self.assertIsNone(results.ratio("lifo", "mine", TIME))
        self.assertAlmostEqual(results.mean("mine", TIME), 2)
        self.assertEqual(results.failures(), ["lifo under mine, round 4: mixed: killed by SIGSEGV"])
        text = "\n".join(table.format_table(results, TIME))
        self.assertIn("failed", text)
        self.assertIn("(1 of 2) 2.00", text)

    def test_another_checksum_is_a_failure(self):
        runs = [run("lifo", "base", 1, checksum="aa"), run("lifo", "mine", 1, checksum="ab")]
        (line,) = Results(runs, ["lifo"], ["base", "mine"], "base").failures()
        self.assertIn("lifo under mine, round 1: wrong result", line)
        same = [run("lifo", "base", 1, checksum="aa"), run("lifo", "mine", 1, checksum="aa")]
        self.assertEqual(Results(same, ["lifo"], ["base", "mine"], "base").failures(), [])

    def test_json(self):
        document = self.results.as_json()
        self.assertEqual(document["baseline"], "base")
        self.assertEqual(document["results"]["lifo"]["mine"]["time_ratio"], 0.5)
        self.assertEqual(document["results"]["lifo"]["mine"]["rss_ratio"], 0.5)
        self.assertEqual(document["results"]["lifo"]["mine"]["cpu_ratio"], 0.25)
        self.assertEqual(document["results"]["tree"]["mine"]["disturbed_runs"], 1)
        self.assertEqual(document["geometric_means"]["mine"]["workloads"], 2)
        self.assertEqual(len(document["runs"]), len(self.runs))


class TableTest(unittest.TestCase):
    def test_units(self):
        self.assertEqual(table.format_seconds(0.0123), "12 ms")
        self.assertEqual(table.format_seconds(1.239), "1.24 s")
        self.assertEqual(table.format_kib(512), "512 KiB")
        self.assertEqual(table.format_kib(1536), "1.5 MiB")
        self.assertEqual(table.format_kib(3 << 20), "3.00 GiB")
        self.assertEqual(table.format_rate(950), "950 /s")
        self.assertEqual(table.format_count(52345), "52.3 k")
        self.assertEqual(table.format_rate(1.234e6), "1.23 M/s")

    def test_table(self):
        runs = [run("lifo", "base", 2), run("lifo", "mine", 1, disturbed=True)]
        results = Results(runs, ["lifo"], ["base", "mine"], "base")
        lines = table.format_table(results, TIME)
        self.assertEqual(
            lines,
            [
                "Time (median; ratio to base, lower is better)",
                "                          base             mine",
                "-" * 48,
                "lifo             2.00 s   1.00    1.00 s   0.50*",
                "-" * 48,
                "geometric mean            1.00             0.50",
            ],
        )

    def test_the_mark_is_explained(self):
        runs = [run("lifo", "base", 2), run("lifo", "mine", 1, disturbed=True)]
        results = Results(runs, ["lifo"], ["base", "mine"], "base")
        self.assertIn("1 of 2 runs", table.format_all(results, [TIME])[-1])
        quiet = Results(runs[:1], ["lifo"], ["base"], "base")
        self.assertNotIn("disturbed", "\n".join(table.format_all(quiet, [TIME, MEMORY])))


if __name__ == "__main__":
    unittest.main()
