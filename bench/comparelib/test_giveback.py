"""The table of what is given back, from hand-made runs; and that no mean has them."""

import unittest

from comparelib import giveback, workloads
from comparelib.giveback import Faults, Figure, format_faults, format_memory
from comparelib.results import Run


def run(workload, allocator, **details):
    return Run(workload, allocator, 0, seconds=20, details=details)


class GiveBackTest(unittest.TestCase):
    def test_it_is_asked_for_by_name(self):
        self.assertEqual(workloads.parse_list("giveback"), giveback.ROWS)
        self.assertEqual(workloads.parse_list("idle3"), [giveback.ROWS[1]])
        names = [workload.name for workload in workloads.parse_list("all")]
        self.assertFalse(set(names) & set(giveback.NAMES))

    def test_a_bound_is_times_what_is_live_and_a_constant(self):
        figure = Figure("", "", times_live=1.3, plus_kib=8192, of_live=True)
        self.assertEqual(format_memory(21_192, 10_000, figure), "20.7 MiB   2.12x ")
        self.assertEqual(format_memory(21_193, 10_000, figure)[-1], "!")
        constant = Figure("", "", plus_kib=2048)
        self.assertEqual(format_memory(2048, 0, constant), "2.0 MiB ")
        self.assertEqual(format_memory(2049, 0, constant), "2.0 MiB!")
        self.assertEqual(format_memory(9999, 1, Figure("", ""))[-1], " ")

    def test_faults(self):
        self.assertEqual(format_faults(5 * 1024, Faults("", "", 5)), "5.0 ")
        self.assertEqual(format_faults(6 * 1024, Faults("", "", 5)), "6.0!")
        self.assertEqual(format_faults(6 * 1024, Faults("", "")), "6.0 ")

    def test_the_table_has_medians_and_only_what_was_run(self):
        runs = [
            run("idle", "mine", rss_kib=kib, trimmed_kib=1024) for kib in (9 << 10, 30 << 10, 1024)
        ]
        runs += [run("idle", "old", rss_kib=21 << 10), run("lifo", "mine", rss_kib=1)]
        runs.append(Run("idle", "bad", 0, error="idle: killed by SIGSEGV"))
        lines = giveback.format_table(runs, ["mine", "old", "bad"])
        self.assertEqual(len(lines), 6)
        self.assertRegex(lines[3], r"^idle, after 3 s +9.0 MiB +21.0 MiB! +failed$")
        self.assertRegex(lines[4], r"^idle, after malloc_trim\(0\) +1.0 MiB +- +failed$")
        self.assertEqual(giveback.format_table(runs[4:5], ["mine"]), [])


if __name__ == "__main__":
    unittest.main()
